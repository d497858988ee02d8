package io.flynn.blobstore.operate;

import io.fabric8.kubernetes.api.model.DeletionPropagation;
import io.fabric8.kubernetes.api.model.apps.Deployment;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientException;
import io.flynn.blobstore.api.v1alpha1.BlobstoreBackend;
import io.flynn.blobstore.decide.BackendAction;
import io.flynn.blobstore.decide.BackendEnvironment.Encoded;
import io.flynn.blobstore.decide.BackendFacts.Credentials;
import io.flynn.blobstore.decide.BackendFacts.Memory;
import io.flynn.blobstore.decide.BackendFacts.Workload.Live;
import io.flynn.blobstore.decide.Obstacle;
import io.flynn.blobstore.decide.Reasons;
import java.net.HttpURLConnection;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/** Carries out what was decided. Blocking; each action can be carried out twice without harm. */
final class BackendActions {

    /** Finished Jobs that stay: the last probe's, and the one before it, for people to compare. */
    private static final int JOBS_KEPT = 2;

    private final KubernetesClient client;
    private final OperatorSettings settings;
    private final BlobstoreBackend resource;
    private final BackendObservation seen;

    BackendActions(
            KubernetesClient client, OperatorSettings settings, BlobstoreBackend resource, BackendObservation seen) {
        this.client = client;
        this.settings = settings;
        this.resource = resource;
        this.seen = seen;
    }

    /**
     * @return why the API server doesn't take the action, if it doesn't
     * @throws KubernetesClientException 409 if somebody else wrote meanwhile; any other if the API server can't be asked, or is
     *     too busy
     */
    Optional<Obstacle> carryOut(BackendAction action) {
        if (action instanceof BackendAction.Probe probe) {
            return probe(probe);
        }
        try {
            change(action);
            return Optional.empty();
        } catch (KubernetesClientException refusal) {
            return Optional.of(obstacle(refusal));
        }
    }

    private void change(BackendAction action) {
        switch (action) {
            case BackendAction.None none -> {}
            case BackendAction.Probe probe -> throw new IllegalArgumentException("a probe changes nothing");
            case BackendAction.Configure configure -> configure();
            case BackendAction.Settle settle -> secrets().prune(seen.fields().secretName(hash()));
            case BackendAction.MakeDefault makeDefault -> writer().makeDefault(deployment(), seen.container());
            case BackendAction.DropDefault dropDefault -> writer().dropDefault(deployment(), seen.container());
            case BackendAction.Remove remove -> writer().remove(deployment(), seen.container());
            case BackendAction.Release release -> release(release);
        }
    }

    private Obstacle obstacle(KubernetesClientException refusal) {
        Optional<ApiFailures.FieldConflict> conflict = ApiFailures.fieldConflict(refusal);
        if (conflict.isPresent()) {
            return Obstacle.person(
                    Reasons.FIELD_CONFLICT,
                    "%s in Deployment \"%s\" is set by \"%s\": remove it there, or set spec.workload.takeOwnership to true"
                            .formatted(
                                    conflict.get().field(),
                                    resource.getSpec().workload().name(),
                                    conflict.get().manager()));
        }
        if (refusal.getCode() == HttpURLConnection.HTTP_CONFLICT) {
            throw refusal;
        }
        return Obstacle.waiting(Reasons.CHANGE_REFUSED, ApiFailures.refusal(refusal));
    }

    private Optional<Obstacle> probe(BackendAction.Probe probe) {
        String settingsOnly = seen.encoded().map(Encoded::settings).orElseGet(() -> "backend=s3");
        StageJob job = ProbeJob.build(
                resource, seen.fields(), probe, settingsOnly, hashOrEmpty(), deployment(), settings.image());
        if (!(job instanceof StageJob.Built built)) {
            throw new IllegalStateException("a probe was decided that can't be made: " + job);
        }
        try {
            client.resource(InstallationVariable.added(
                            client, built.job(), resource.getSpec().workload().name()))
                    .create();
        } catch (KubernetesClientException refusal) {
            String name = built.job().getMetadata().getName();
            if (refusal.getCode() != HttpURLConnection.HTTP_CONFLICT) {
                return Optional.of(Obstacle.waiting(Reasons.JOB_REFUSED, ApiFailures.refusal(refusal)));
            }
            // Our cache of Jobs is behind, and this attempt is there already; or somebody else has the name.
            if (!isOurs(name)) {
                return Optional.of(Obstacle.waiting(
                        Reasons.JOB_REFUSED, "Job %s exists and isn't this backend's: delete it".formatted(name)));
            }
        }
        deleteOldJobs();
        return Optional.empty();
    }

    private boolean isOurs(String job) {
        Job found = client.batch()
                .v1()
                .jobs()
                .inNamespace(resource.getMetadata().getNamespace())
                .withName(job)
                .get();
        return found != null && StageJob.isOwnedBy(found, resource);
    }

    private void deleteOldJobs() {
        List<Job> finished = seen.jobs().stream()
                .filter(job -> job.getStatus() != null
                        && job.getStatus().getConditions().stream()
                                .anyMatch(condition -> "True".equals(condition.getStatus())
                                        && List.of("Complete", "Failed").contains(condition.getType())))
                .sorted(Comparator.comparing((Job job) -> job.getMetadata().getCreationTimestamp())
                        .reversed())
                .toList();
        finished.stream()
                .skip(JOBS_KEPT)
                .forEach(job -> client.resource(job)
                        .withPropagationPolicy(DeletionPropagation.BACKGROUND)
                        .delete());
    }

    private void configure() {
        Encoded encoded = seen.encoded().orElseThrow();
        List<String> previous =
                previousHash(hash()).map(seen.fields()::secretName).stream().toList();
        secrets()
                .store(ConfigSecret.build(
                        seen.fields(), resource.getMetadata().getNamespace(), hash(), encoded, previous));
        writer().configure(deployment(), seen.container(), hash());
    }

    /** Of the configuration that this one replaces: the Deployment's, or the last that was written into it. */
    private Optional<String> previousHash(String wanted) {
        String live = seen.facts().workload() instanceof Live found ? found.hash() : "";
        Memory memory = seen.facts().memory();
        return Stream.of(live, memory.applied())
                .filter(hash ->
                        seen.fields().hash(seen.fields().secretName(hash)).isPresent())
                .filter(hash -> !hash.equals(wanted))
                .findFirst();
    }

    private void release(BackendAction.Release release) {
        if (release.withSecrets()) {
            // The wanted one too: it may have been made by an operator that died before it changed the Deployment.
            Stream.of(hashOrEmpty(), seen.facts().memory().applied())
                    .filter(hash -> !hash.isEmpty())
                    .distinct()
                    .map(seen.fields()::secretName)
                    .forEach(secrets()::deleteAll);
        }
    }

    private String hash() {
        if (seen.facts().credentials() instanceof Credentials.Present present) {
            return present.hash();
        }
        throw new IllegalStateException("a configuration was decided without an access key");
    }

    private String hashOrEmpty() {
        return seen.facts().credentials() instanceof Credentials.Present present ? present.hash() : "";
    }

    private Deployment deployment() {
        return seen.deployment()
                .orElseThrow(() -> new IllegalStateException("a change of a Deployment was decided that isn't there"));
    }

    private ConfigSecrets secrets() {
        return new ConfigSecrets(client, resource.getMetadata().getNamespace());
    }

    private DeploymentWriter writer() {
        return new DeploymentWriter(
                client, seen.fields(), resource.getSpec().workload().takeOwnership());
    }
}
