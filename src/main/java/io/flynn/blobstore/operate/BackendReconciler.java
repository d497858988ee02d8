package io.flynn.blobstore.operate;

import io.fabric8.kubernetes.api.model.apps.Deployment;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientException;
import io.flynn.blobstore.api.v1alpha1.BlobstoreBackend;
import io.flynn.blobstore.api.v1alpha1.BlobstoreBackendStatus;
import io.flynn.blobstore.decide.BackendAction;
import io.flynn.blobstore.decide.BackendDecision;
import io.flynn.blobstore.decide.Obstacle;
import io.flynn.blobstore.decide.Reasons;
import io.javaoperatorsdk.operator.api.config.informer.InformerEventSourceConfiguration;
import io.javaoperatorsdk.operator.api.reconciler.Cleaner;
import io.javaoperatorsdk.operator.api.reconciler.Context;
import io.javaoperatorsdk.operator.api.reconciler.ControllerConfiguration;
import io.javaoperatorsdk.operator.api.reconciler.DeleteControl;
import io.javaoperatorsdk.operator.api.reconciler.ErrorStatusUpdateControl;
import io.javaoperatorsdk.operator.api.reconciler.EventSourceContext;
import io.javaoperatorsdk.operator.api.reconciler.PrimaryUpdateAndCacheUtils;
import io.javaoperatorsdk.operator.api.reconciler.Reconciler;
import io.javaoperatorsdk.operator.api.reconciler.UpdateControl;
import io.javaoperatorsdk.operator.processing.event.ResourceID;
import io.javaoperatorsdk.operator.processing.event.source.EventSource;
import io.javaoperatorsdk.operator.processing.event.source.informer.InformerEventSource;
import io.javaoperatorsdk.operator.processing.retry.GradualRetry;
import java.net.HttpURLConnection;
import java.time.Duration;
import java.time.InstantSource;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Looks after backends: reads the facts, has them decided, carries one action out, writes the status. Everything worth arguing
 * about is in {@link BackendDecision}.
 */
@ControllerConfiguration(name = "blobstorebackend", finalizerName = BlobstoreBackend.FINALIZER)
@GradualRetry(maxAttempts = Integer.MAX_VALUE, initialInterval = 1000, intervalMultiplier = 2, maxInterval = 60_000)
public final class BackendReconciler implements Reconciler<BlobstoreBackend>, Cleaner<BlobstoreBackend> {

    private static final Logger LOG = LoggerFactory.getLogger(BackendReconciler.class);

    private static final String BY_WORKLOAD = "workload";
    private static final String DEPLOYMENTS = "deployments";

    /** Somebody else wrote between our look and our write. */
    private static final Duration AFTER_CONFLICT = Duration.ofSeconds(1);

    private final OperatorSettings settings;
    private final InstantSource clock;

    public BackendReconciler(OperatorSettings settings, InstantSource clock) {
        this.settings = settings;
        this.clock = clock;
    }

    /** Jobs and Deployments are watched; Secrets are not, by any means: they are looked at by name. */
    @Override
    public List<EventSource<?, BlobstoreBackend>> prepareEventSources(EventSourceContext<BlobstoreBackend> context) {
        context.getPrimaryCache().addIndexer(BY_WORKLOAD, backend -> List.of(workloadKey(backend)));
        return List.of(
                new InformerEventSource<>(
                        InformerEventSourceConfiguration.from(Job.class, BlobstoreBackend.class)
                                .withLabelSelector(Labels.MANAGED_BY + "=" + Labels.OPERATOR + "," + Labels.BACKEND)
                                .build(),
                        context),
                new InformerEventSource<>(
                        InformerEventSourceConfiguration.from(Deployment.class, BlobstoreBackend.class)
                                .withName(DEPLOYMENTS)
                                .withSecondaryToPrimaryMapper(
                                        (Deployment deployment) -> backendsOf(context, deployment))
                                .build(),
                        context));
    }

    private static Set<ResourceID> backendsOf(EventSourceContext<BlobstoreBackend> context, Deployment deployment) {
        String key = key(
                deployment.getMetadata().getNamespace(),
                deployment.getMetadata().getName());
        return context.getPrimaryCache().byIndex(BY_WORKLOAD, key).stream()
                .map(ResourceID::fromResource)
                .collect(Collectors.toSet());
    }

    private static String workloadKey(BlobstoreBackend backend) {
        return key(
                backend.getMetadata().getNamespace(),
                backend.getSpec().workload().name());
    }

    private static String key(String namespace, String name) {
        return namespace + "/" + name;
    }

    @Override
    public UpdateControl<BlobstoreBackend> reconcile(BlobstoreBackend resource, Context<BlobstoreBackend> context) {
        Duration next = look(resource, context).map(BackendDecision::next).orElse(AFTER_CONFLICT);
        return UpdateControl.<BlobstoreBackend>noUpdate().rescheduleAfter(next);
    }

    @Override
    public DeleteControl cleanup(BlobstoreBackend resource, Context<BlobstoreBackend> context) {
        Optional<BackendDecision> decision = look(resource, context);
        if (decision.isPresent() && decision.get().action() instanceof BackendAction.Release) {
            return DeleteControl.defaultDelete();
        }
        return DeleteControl.noFinalizerRemoval()
                .rescheduleAfter(decision.map(BackendDecision::next).orElse(AFTER_CONFLICT));
    }

    /** Says in the status that the operator can't go on, where it can still say that; then it is tried again, ever more slowly. */
    @Override
    public ErrorStatusUpdateControl<BlobstoreBackend> updateErrorStatus(
            BlobstoreBackend resource, Context<BlobstoreBackend> context, Exception failure) {
        Obstacle obstacle = failure instanceof KubernetesClientException api
                ? Obstacle.waiting(Reasons.API_FAILURE, ApiFailures.words(api))
                : Obstacle.waiting(
                        Reasons.INTERNAL,
                        "the operator failed: its log has the %s"
                                .formatted(failure.getClass().getSimpleName()));
        return ErrorStatusUpdateControl.patchStatus(
                resource.withOnly(BackendStatuses.failing(resource, obstacle, clock.instant())));
    }

    /** Empty if somebody else wrote meanwhile: then all is looked at again, and nothing is said about it. */
    private Optional<BackendDecision> look(BlobstoreBackend resource, Context<BlobstoreBackend> context) {
        KubernetesClient client = context.getClient();
        List<Job> jobs = context.getSecondaryResources(Job.class).stream()
                .filter(job -> StageJob.isOwnedBy(job, resource))
                .toList();
        List<BlobstoreBackend> others = context.getPrimaryCache()
                .list(resource.getMetadata().getNamespace())
                .toList();
        BackendObservation seen = new BackendGatherer(client, settings, clock).gather(resource, jobs, others);
        BackendDecision wanted = BackendDecision.decide(seen.facts());
        BackendDecision decision;
        try {
            decision = new BackendActions(client, settings, resource, seen)
                    .carryOut(wanted.action())
                    .map(refusal -> BackendDecision.refused(seen.facts(), refusal))
                    .orElse(wanted);
        } catch (KubernetesClientException e) {
            if (e.getCode() == HttpURLConnection.HTTP_CONFLICT) {
                return Optional.empty();
            }
            throw e;
        }
        if (!(decision.action() instanceof BackendAction.Release)) {
            write(resource, BackendStatuses.of(resource, seen.fields(), seen.facts(), decision), context);
        }
        return Optional.of(decision);
    }

    private static void write(
            BlobstoreBackend resource, BlobstoreBackendStatus status, Context<BlobstoreBackend> context) {
        if (status.equals(resource.getStatus())) {
            return;
        }
        PrimaryUpdateAndCacheUtils.ssaPatchStatusAndCacheResource(resource, resource.withOnly(status), context);
        String before = Optional.ofNullable(resource.getStatus())
                .map(BlobstoreBackendStatus::summary)
                .orElse("");
        if (!before.equals(status.summary())) {
            LOG.atInfo()
                    .addKeyValue("backend", resource.getMetadata().getName())
                    .addKeyValue("summary", status.summary())
                    .log("backend changed");
        }
    }
}
