package io.flynn.blobstore.operate;

import io.fabric8.kubernetes.api.model.Condition;
import io.fabric8.kubernetes.api.model.ConditionBuilder;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientException;
import io.fabric8.kubernetes.client.dsl.base.PatchContext;
import io.fabric8.kubernetes.client.dsl.base.PatchType;
import io.flynn.blobstore.api.v1alpha1.BlobMigration;
import io.flynn.blobstore.api.v1alpha1.BlobMigrationStatus;
import io.flynn.blobstore.api.v1alpha1.BlobstoreBackend;
import io.flynn.blobstore.decide.MigrationDecision;
import io.flynn.blobstore.decide.MigrationDecision.Action;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.operate.MigrationGatherer.Seen;
import io.flynn.blobstore.operate.ProgressReader.Heard;
import io.javaoperatorsdk.operator.api.config.informer.InformerEventSourceConfiguration;
import io.javaoperatorsdk.operator.api.reconciler.Context;
import io.javaoperatorsdk.operator.api.reconciler.ControllerConfiguration;
import io.javaoperatorsdk.operator.api.reconciler.ErrorStatusUpdateControl;
import io.javaoperatorsdk.operator.api.reconciler.EventSourceContext;
import io.javaoperatorsdk.operator.api.reconciler.Reconciler;
import io.javaoperatorsdk.operator.api.reconciler.UpdateControl;
import io.javaoperatorsdk.operator.processing.event.ResourceID;
import io.javaoperatorsdk.operator.processing.event.source.EventSource;
import io.javaoperatorsdk.operator.processing.event.source.inbound.SimpleInboundEventSource;
import io.javaoperatorsdk.operator.processing.event.source.informer.InformerEventSource;
import io.javaoperatorsdk.operator.processing.retry.GradualRetry;
import java.net.HttpURLConnection;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Brings migrations to their end: sees, decides, writes the status, acts, in that order and one step at a time.
 *
 * <p>Every status is written for the very resource version that was decided about. So an operator that looks at an old cache, or a
 * second one that believes itself leader, is refused before it can start a stage twice; and one that dies before it acts finds
 * in the ledger what it was about to do.
 */
@ControllerConfiguration(name = "blobmigration", fieldManager = MigrationReconciler.FIELD_MANAGER)
@GradualRetry(maxAttempts = Integer.MAX_VALUE, initialInterval = 1000, intervalMultiplier = 2, maxInterval = 60_000)
public final class MigrationReconciler implements Reconciler<BlobMigration>, AutoCloseable {

    static final String FIELD_MANAGER = "blobstore-operator";

    private static final String BY_BACKEND = "by-backend";

    /** The newer version is on its way through the watch. */
    private static final Duration CONFLICT = Duration.ofSeconds(1);

    private final InstantSource clock;
    private final MigrationJobs jobs;
    private final MigrationLimits limits;
    private final MigrationGatherer gatherer;
    private final ProgressReader progress;
    private final SimpleInboundEventSource<BlobMigration> news = new SimpleInboundEventSource<>("progress");

    public MigrationReconciler(KubernetesClient client, PodImage image, InstantSource clock) {
        this.clock = clock;
        jobs = new MigrationJobs(client, image);
        limits = new MigrationLimits(client);
        gatherer = new MigrationGatherer(client, jobs, limits);
        progress = new ProgressReader(client, clock);
    }

    @Override
    public List<EventSource<?, BlobMigration>> prepareEventSources(EventSourceContext<BlobMigration> context) {
        var ownJobs = InformerEventSourceConfiguration.from(Job.class, BlobMigration.class)
                .withLabelSelector(Labels.MIGRATION)
                .build();
        context.getPrimaryCache()
                .addIndexer(
                        BY_BACKEND,
                        migration -> ends(migration).stream()
                                .map(MigrationReconciler::key)
                                .toList());
        var backends = InformerEventSourceConfiguration.from(BlobstoreBackend.class, BlobMigration.class)
                .withSecondaryToPrimaryMapper(backend ->
                        context.getPrimaryCache().byIndex(BY_BACKEND, key(ResourceID.fromResource(backend))).stream()
                                .map(ResourceID::fromResource)
                                .collect(Collectors.toSet()))
                .withPrimaryToSecondaryMapper(MigrationReconciler::ends)
                .build();
        return List.of(new InformerEventSource<>(ownJobs, context), new InformerEventSource<>(backends, context), news);
    }

    @Override
    public UpdateControl<BlobMigration> reconcile(BlobMigration migration, Context<BlobMigration> context) {
        Instant now = clock.instant();
        Seen seen = gatherer.gather(
                migration,
                context.getSecondaryResourcesAsStream(Job.class).toList(),
                context.getSecondaryResourcesAsStream(BlobstoreBackend.class).toList(),
                context.getPrimaryCache().list(),
                now);
        MigrationDecision decision = MigrationDecision.decide(seen.facts());
        Optional<Heard> heard =
                progress.latest(seen.speakers(), () -> news.propagateEvent(ResourceID.fromResource(migration)));
        try {
            BlobMigration written =
                    write(migration, MigrationStatuses.next(migration, decision, seen.report(), heard, now), context);
            boolean changed = !written.getStatus().equals(migration.getStatus());
            // This one rests, so another of the workload may go; or it moves, which those want to know whose blobs it
            // brings back.
            if (changed && (decision.nextLook().isEmpty() || decision.action() instanceof Action.Start)) {
                wakeOthers(migration, context);
            }
            carryOut(decision.action(), written, seen)
                    .map(decision::refused)
                    .ifPresent(refused -> write(
                            written, MigrationStatuses.next(written, refused, Optional.empty(), heard, now), context));
        } catch (KubernetesClientException conflict) {
            if (conflict.getCode() != HttpURLConnection.HTTP_CONFLICT) {
                throw conflict;
            }
            return UpdateControl.<BlobMigration>noUpdate().rescheduleAfter(CONFLICT);
        }
        UpdateControl<BlobMigration> done = UpdateControl.noUpdate();
        Optional<Duration> nextLook = !seen.speakers().isEmpty() && heard.isEmpty()
                ? Optional.of(ProgressReader.SILENCE)
                : decision.nextLook();
        return nextLook.map(done::rescheduleAfter).orElse(done);
    }

    /** Says in the status that the operator can't go on, where it can still say that. */
    @Override
    public ErrorStatusUpdateControl<BlobMigration> updateErrorStatus(
            BlobMigration migration, Context<BlobMigration> context, Exception failure) {
        return failing(migration, failure)
                .map(status -> ErrorStatusUpdateControl.patchStatus(next(migration, status)))
                .orElseGet(ErrorStatusUpdateControl::noStatusUpdate);
    }

    @Override
    public void close() {
        progress.close();
    }

    private static BlobMigration write(
            BlobMigration migration, BlobMigrationStatus status, Context<BlobMigration> context) {
        if (status.equals(migration.getStatus())) {
            return migration;
        }
        BlobMigration written = context.getClient()
                .resource(next(migration, status))
                .subresource("status")
                .patch(new PatchContext.Builder()
                        .withPatchType(PatchType.SERVER_SIDE_APPLY)
                        .withForce(true)
                        .withFieldManager(FIELD_MANAGER)
                        .build());
        // JOSDK's own helper tries again on a conflict; here a conflict means that what was decided is not to be done.
        context.eventSourceRetriever()
                .getControllerEventSource()
                .handleRecentResourceUpdate(ResourceID.fromResource(migration), written, migration);
        return written;
    }

    private void wakeOthers(BlobMigration migration, Context<BlobMigration> context) {
        context.getPrimaryCache()
                .list(other -> MigrationGatherer.isOfSameWorkload(migration, other))
                .map(ResourceID::fromResource)
                .filter(other -> !other.equals(ResourceID.fromResource(migration)))
                .forEach(news::propagateEvent);
    }

    /** To be applied only if {@code migration} is still what is there. */
    private static BlobMigration next(BlobMigration migration, BlobMigrationStatus status) {
        BlobMigration fresh = migration.withOnly(status);
        fresh.getMetadata().setResourceVersion(migration.getMetadata().getResourceVersion());
        return fresh;
    }

    /** Why it could not be done, if the API server won't have it. */
    private Optional<String> carryOut(Action action, BlobMigration migration, Seen seen) {
        return switch (action) {
            case Action.Nothing nothing -> Optional.empty();
            case Action.Start start -> start(start, migration, seen);
            case Action.Limit limit -> {
                // First their part of the limits, then their number: those that come begin with what is written.
                limits.write(migration);
                jobs.resize(migration, limit.stage(), limit.attempt());
                yield Optional.empty();
            }
            case Action.Stop stop -> {
                jobs.stop(migration, stop.stage(), stop.attempt());
                yield Optional.empty();
            }
        };
    }

    private Optional<String> start(Action.Start start, BlobMigration migration, Seen seen) {
        return seen.deployment().flatMap(workload -> switch (jobs.of(
                migration, seen.ends(), workload, start.stage(), start.attempt())) {
            case StageJob.Built built -> {
                if (MigrationJobs.hasLimits(start.stage())) {
                    limits.write(migration);
                }
                yield jobs.create(migration, built.job());
            }
            case StageJob.Refused refused -> Optional.of(refused.message());
        });
    }

    private static Optional<BlobMigrationStatus> failing(BlobMigration migration, Exception failure) {
        BlobMigrationStatus status = migration.getStatus();
        if (status == null || status.conditions() == null) {
            return Optional.empty();
        }
        String message = failure instanceof KubernetesClientException api
                ? ApiFailures.words(api)
                : "the operator failed: its log has the %s"
                        .formatted(failure.getClass().getSimpleName());
        String reason = failure instanceof KubernetesClientException ? Reasons.API_FAILURE : Reasons.INTERNAL;
        List<Condition> conditions = status.conditions().stream()
                .map(condition -> "Reconciling".equals(condition.getType()) && "True".equals(condition.getStatus())
                        ? new ConditionBuilder(condition)
                                .withReason(reason)
                                .withMessage(message)
                                .build()
                        : condition)
                .toList();
        return Optional.of(status.withConditions(conditions, message));
    }

    /** The backends that it may name; one of these names is the database's, and no backend's. */
    private static Set<ResourceID> ends(BlobMigration migration) {
        return Stream.of(migration.getSpec().from(), migration.getSpec().to())
                .map(name -> new ResourceID(name, migration.getMetadata().getNamespace()))
                .collect(Collectors.toSet());
    }

    private static String key(ResourceID backend) {
        return "%s/%s".formatted(backend.getNamespace().orElse(""), backend.getName());
    }
}
