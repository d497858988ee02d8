package io.flynn.blobstore.operate;

import io.fabric8.kubernetes.api.model.Container;
import io.fabric8.kubernetes.api.model.Namespace;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.Secret;
import io.fabric8.kubernetes.api.model.apps.Deployment;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.flynn.blobstore.api.v1alpha1.BlobMigration;
import io.flynn.blobstore.api.v1alpha1.BlobstoreBackend;
import io.flynn.blobstore.api.v1alpha1.BlobstoreBackendSpec;
import io.flynn.blobstore.api.v1alpha1.BlobstoreBackendSpec.DeletionPolicy;
import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.decide.BackendAction.Probe;
import io.flynn.blobstore.decide.BackendEnvironment;
import io.flynn.blobstore.decide.BackendEnvironment.Encoded;
import io.flynn.blobstore.decide.BackendFacts;
import io.flynn.blobstore.decide.BackendFacts.Claim;
import io.flynn.blobstore.decide.BackendFacts.Credentials;
import io.flynn.blobstore.decide.BackendFacts.Deletion;
import io.flynn.blobstore.decide.BackendFacts.Location;
import io.flynn.blobstore.decide.BackendFacts.ProbeRun;
import io.flynn.blobstore.decide.BackendFacts.Wanted;
import io.flynn.blobstore.decide.BackendFacts.Workload;
import io.flynn.blobstore.decide.BackendRule;
import io.flynn.blobstore.decide.BackendSettings;
import io.flynn.blobstore.decide.Obstacle;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.InstantSource;
import java.util.Base64;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Reads everything that is to be decided about, once. The Deployment is read from the API server and not from a watch's cache:
 * right after an apply, an old copy would look as if somebody had taken the entries away.
 */
final class BackendGatherer {

    private final KubernetesClient client;
    private final OperatorSettings settings;
    private final InstantSource clock;

    BackendGatherer(KubernetesClient client, OperatorSettings settings, InstantSource clock) {
        this.client = client;
        this.settings = settings;
        this.clock = clock;
    }

    /**
     * @param resource as last seen
     * @param jobs that it owns, as last seen
     * @param others all backends of the namespace, as last seen
     */
    BackendObservation gather(BlobstoreBackend resource, List<Job> jobs, List<BlobstoreBackend> others) {
        Optional<Obstacle> problem = problem(resource);
        BackendFields fields = new BackendFields(resource.getMetadata().getName(), usableName(resource));
        AccessKey key = problem.isPresent()
                ? new AccessKey(new Credentials.Unavailable(problem.get()), Optional.empty())
                : AccessKey.read(client, resource, fields.backend());
        Optional<Deployment> deployment = deployment(resource);
        String wanted = key.credentials() instanceof Credentials.Present present ? present.hash() : "";
        Optional<Container> container = deployment.map(live -> container(live, resource));
        BackendFacts facts = new BackendFacts(
                wanted(resource, fields, problem),
                key.credentials(),
                deployment
                        .<Workload>map(live -> live(resource, fields, live, wanted))
                        .orElseGet(Workload.Missing::new),
                probes(resource, jobs),
                claims(resource, others),
                BackendMemory.of(resource, fields),
                deletion(resource),
                clock.instant());
        return new BackendObservation(
                facts, fields, deployment, container.map(Container::getName).orElse(""), key.encoded(), jobs);
    }

    private Optional<Obstacle> problem(BlobstoreBackend resource) {
        BlobstoreBackendSpec spec = resource.getSpec();
        return BackendRule.problem(
                resource.backendName(),
                spec.s3().provider() == BlobstoreBackendSpec.Provider.AWS,
                location(spec),
                settings.insecureEndpointsAllowed());
    }

    /** A name that breaks the rules was never written anywhere: any other stands in for it. */
    private static BackendName usableName(BlobstoreBackend resource) {
        try {
            return new BackendName(resource.backendName());
        } catch (IllegalArgumentException e) {
            return new BackendName("invalid");
        }
    }

    static Location location(BlobstoreBackendSpec spec) {
        return new Location(spec.s3().bucket(), spec.s3().region(), spec.s3().endpoint());
    }

    private static Wanted wanted(BlobstoreBackend resource, BackendFields fields, Optional<Obstacle> problem) {
        BlobstoreBackendSpec spec = resource.getSpec();
        return new Wanted(
                resource.getMetadata().getName(),
                fields.backend().value(),
                spec.workload().name(),
                problem,
                location(spec),
                spec.isDefault(),
                SpecDuration.parse(spec.probe().interval()),
                spec.workload().takeOwnership(),
                spec.suspend(),
                Instant.parse(resource.getMetadata().getCreationTimestamp()));
    }

    private Optional<Deployment> deployment(BlobstoreBackend resource) {
        return client
                .apps()
                .deployments()
                .inNamespace(resource.getMetadata().getNamespace())
                .withField("metadata.name", resource.getSpec().workload().name())
                .list()
                .getItems()
                .stream()
                .findFirst();
    }

    /** The one that is meant; the first if that is not clear, so that at least what is there can be read. */
    private static Container container(Deployment live, BlobstoreBackend resource) {
        List<Container> containers = live.getSpec().getTemplate().getSpec().getContainers();
        String wanted = resource.getSpec().workload().container();
        return containers.stream()
                .filter(container -> container.getName().equals(wanted))
                .findFirst()
                .orElseGet(containers::getFirst);
    }

    private Workload.Live live(BlobstoreBackend resource, BackendFields fields, Deployment live, String wanted) {
        LiveWorkload workload = new LiveWorkload(fields, live);
        boolean going = resource.isMarkedForDeletion();
        return workload.read(
                pods(live),
                going ? "" : wanted,
                going,
                container(live, resource),
                unclear(resource, fields, live),
                liveLocation(resource, fields, workload.templateHash(), wanted));
    }

    private List<Pod> pods(Deployment live) {
        return client.pods()
                .inNamespace(live.getMetadata().getNamespace())
                .withLabelSelector(live.getSpec().getSelector())
                .list()
                .getItems();
    }

    /** What would keep a pod from being made of the workload's, keeps the backend from being added too. */
    private Optional<Obstacle> unclear(BlobstoreBackend resource, BackendFields fields, Deployment live) {
        return switch (ProbeJob.build(resource, fields, new Probe(1, false), "", "", live, settings.image())) {
            case StageJob.Built built -> Optional.empty();
            case StageJob.Refused refused -> Optional.of(Obstacle.person(refused.reason(), refused.message()));
        };
    }

    /**
     * Where rows of this backend have their bytes. What was last written counts for more than what somebody has put in its place
     * since, or left of it.
     */
    private Optional<Location> liveLocation(
            BlobstoreBackend resource, BackendFields fields, String hash, String wanted) {
        String applied = BackendMemory.of(resource, fields).applied();
        String relied = hash.equals(wanted) || applied.isEmpty() ? hash : applied;
        if (relied.isEmpty()) {
            return Optional.empty();
        }
        if (relied.equals(wanted)) {
            return Optional.of(location(resource.getSpec()));
        }
        return new ConfigSecrets(client, resource.getMetadata().getNamespace())
                .get(fields.secretName(relied))
                .flatMap(secret -> decoded(secret, fields));
    }

    private static Optional<Location> decoded(Secret secret, BackendFields fields) {
        Map<String, String> environment = new HashMap<>();
        secret.getData()
                .forEach((key, value) ->
                        environment.put(key, new String(Base64.getDecoder().decode(value), StandardCharsets.UTF_8)));
        BackendSettings settings =
                BackendEnvironment.decode(environment).backends().get(fields.backend());
        return Optional.ofNullable(settings)
                .map(known -> new Location(
                        known.bucket(),
                        known.region(),
                        known.endpoint().map(Object::toString).orElse("")));
    }

    private List<ProbeRun> probes(BlobstoreBackend resource, List<Job> jobs) {
        if (jobs.isEmpty()) {
            return List.of();
        }
        List<Pod> pods = client.pods()
                .inNamespace(resource.getMetadata().getNamespace())
                .withLabel(Labels.BACKEND, Labels.value(resource.getMetadata().getName()))
                .list()
                .getItems();
        return jobs.stream()
                .map(job -> ProbeJob.read(job, pods))
                .sorted(Comparator.comparingInt(ProbeRun::attempt))
                .toList();
    }

    private static List<Claim> claims(BlobstoreBackend resource, List<BlobstoreBackend> others) {
        return others.stream()
                .filter(other -> !other.getMetadata()
                        .getUid()
                        .equals(resource.getMetadata().getUid()))
                .filter(other -> other.getSpec()
                        .workload()
                        .name()
                        .equals(resource.getSpec().workload().name()))
                .filter(other -> !other.isMarkedForDeletion())
                .map(other -> new Claim(
                        other.getMetadata().getName(),
                        other.backendName(),
                        other.getSpec().isDefault(),
                        Instant.parse(other.getMetadata().getCreationTimestamp())))
                .toList();
    }

    private Optional<Deletion> deletion(BlobstoreBackend resource) {
        if (!resource.isMarkedForDeletion()) {
            return Optional.empty();
        }
        String namespace = resource.getMetadata().getNamespace();
        Namespace own = client.namespaces().withName(namespace).get();
        Map<String, String> annotations =
                Optional.ofNullable(resource.getMetadata().getAnnotations()).orElse(Map.of());
        return Optional.of(new Deletion(
                resource.getSpec().deletionPolicy() == DeletionPolicy.ORPHAN,
                own != null && own.isMarkedForDeletion(),
                Optional.ofNullable(annotations.get(BlobstoreBackend.FORCE_DELETE_ANNOTATION)),
                migrations(resource)));
    }

    private List<String> migrations(BlobstoreBackend resource) {
        return client
                .resources(BlobMigration.class)
                .inNamespace(resource.getMetadata().getNamespace())
                .list()
                .getItems()
                .stream()
                .filter(migration -> List.of(
                                migration.getSpec().from(), migration.getSpec().to())
                        .contains(resource.getMetadata().getName()))
                // One that has not begun waits for the backend, so the backend can't wait for it.
                .filter(migration -> StageLedgers.of(migration).hasBegun() && !isOver(migration))
                .map(migration -> migration.getMetadata().getName())
                .sorted()
                .toList();
    }

    private static boolean isOver(BlobMigration migration) {
        return migration.getStatus() != null && migration.getStatus().completionTime() != null;
    }

    /** The wanted configuration, complete, and what it is called; or why it can't be had. */
    private record AccessKey(Credentials credentials, Optional<Encoded> encoded) {

        static AccessKey read(KubernetesClient client, BlobstoreBackend resource, BackendName name) {
            return switch (CredentialsSecret.read(client, resource, name)) {
                case CredentialsSecret.Unusable unusable ->
                    new AccessKey(new Credentials.Unavailable(unusable.obstacle()), Optional.empty());
                case CredentialsSecret.Usable usable ->
                    new AccessKey(
                            new Credentials.Present(
                                    ConfigSecret.hash(resource.getMetadata().getUid(), usable.encoded())),
                            Optional.of(usable.encoded()));
            };
        }
    }
}
