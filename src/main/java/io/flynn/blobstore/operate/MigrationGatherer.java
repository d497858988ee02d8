package io.flynn.blobstore.operate;

import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.apps.Deployment;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.flynn.blobstore.api.v1alpha1.BlobMigration;
import io.flynn.blobstore.api.v1alpha1.BlobMigrationSpec;
import io.flynn.blobstore.api.v1alpha1.BlobMigrationSpec.CleanupPolicy;
import io.flynn.blobstore.api.v1alpha1.BlobMigrationSpec.Mode;
import io.flynn.blobstore.api.v1alpha1.BlobMigrationSpec.VacuumMode;
import io.flynn.blobstore.api.v1alpha1.BlobMigrationStatus;
import io.flynn.blobstore.api.v1alpha1.BlobstoreBackend;
import io.flynn.blobstore.api.v1alpha1.BlobstoreBackendStatus;
import io.flynn.blobstore.decide.MigrationFacts;
import io.flynn.blobstore.decide.MigrationFacts.Attempt;
import io.flynn.blobstore.decide.MigrationFacts.Place;
import io.flynn.blobstore.decide.MigrationFacts.Spec;
import io.flynn.blobstore.decide.MigrationFacts.Workload;
import io.flynn.blobstore.decide.MigrationTurn;
import io.flynn.blobstore.decide.MigrationTurn.Contender;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.decide.Stage;
import io.flynn.blobstore.decide.StageLedger;
import io.flynn.blobstore.decide.StageLedger.Entry;
import io.flynn.blobstore.decide.StageReport;
import io.flynn.blobstore.decide.StageRun;
import java.time.Instant;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.Stream;

/** Sees what a decision about a migration rests on. Reads, and never writes. */
final class MigrationGatherer {

    private final KubernetesClient client;
    private final MigrationJobs jobs;
    private final MigrationLimits limits;

    MigrationGatherer(KubernetesClient client, MigrationJobs jobs, MigrationLimits limits) {
        this.client = client;
        this.jobs = jobs;
        this.limits = limits;
    }

    /**
     * What was seen.
     *
     * @param facts to decide by
     * @param ends where the blobs come from and go
     * @param deployment the workload, if it was needed and exists
     * @param speakers the running stage's pods: their logs say how far it is
     */
    record Seen(
            MigrationFacts facts, Ends ends, Optional<Deployment> deployment, List<ProgressReader.Source> speakers) {

        Seen {
            speakers = List.copyOf(speakers);
        }

        /** Of the attempt that is over, if one was seen to be. */
        Optional<StageReport> report() {
            return facts.run()
                    .filter(StageRun.Ended.class::isInstance)
                    .map(StageRun.Ended.class::cast)
                    .map(StageRun.Ended::report);
        }
    }

    /**
     * @param migration to be decided about
     * @param ownJobs its Jobs, as cached
     * @param backends those that it names, as cached
     * @param all migrations, as cached
     */
    Seen gather(
            BlobMigration migration,
            List<Job> ownJobs,
            List<BlobstoreBackend> backends,
            Stream<BlobMigration> all,
            Instant now) {
        Ends ends = Ends.of(migration.getSpec(), backends);
        StageLedger ledger = StageLedgers.of(migration);
        Optional<Entry> running = ledger.running();
        Optional<Job> job = running.flatMap(entry -> job(migration, entry, ownJobs));
        List<Pod> pods = jobs.pods(migration);
        Optional<StageRun> run =
                job.map(found -> JobReport.of(found, running.orElseThrow().stage(), pods));
        boolean works = run.filter(StageRun.Running.class::isInstance).isPresent();
        // A stage that runs has what it needs; the Deployment matters when the next one is to start.
        List<BlobMigration> others =
                all.filter(other -> isOfSameWorkload(migration, other)).toList();
        Optional<Deployment> deployment = works ? Optional.empty() : deployment(migration);
        MigrationFacts facts = new MigrationFacts(
                spec(migration.getSpec()),
                specChanged(migration),
                ledger,
                run,
                pods.stream().anyMatch(MigrationGatherer::isAlive),
                stray(migration, running, ownJobs),
                source(ends),
                target(migration, ends),
                works
                        && running.filter(entry -> MigrationJobs.hasLimits(entry.stage()))
                                .isPresent()
                        && (limits.differ(migration)
                                || job.filter(found -> MigrationJobs.isOfOtherSize(migration, found))
                                        .isPresent()),
                works
                        ? new Workload.Usable(migration.getSpec().workload().name())
                        : workload(migration, ends, deployment),
                rival(migration, ledger, others, now),
                back(migration, ledger, others),
                conditions(migration).byType(),
                now);
        return new Seen(
                facts,
                ends,
                deployment,
                works
                        ? job.map(found -> speakers(found, running.orElseThrow().stage(), pods))
                                .orElse(List.of())
                        : List.of());
    }

    private Optional<Job> job(BlobMigration migration, Entry entry, List<Job> ownJobs) {
        String name = StageJob.name(migration.getMetadata().getUid(), entry.stage(), entry.attempts());
        return ownJobs.stream()
                .filter(job -> job.getMetadata().getName().equals(name))
                .filter(job -> StageJob.isOwnedBy(job, migration))
                .findFirst()
                // The cache may lag behind a Job that was just made; nothing may be concluded from its absence there.
                .or(() -> jobs.find(migration, name));
    }

    private static Optional<Attempt> stray(BlobMigration migration, Optional<Entry> running, List<Job> ownJobs) {
        Optional<Attempt> expected = running.map(entry -> new Attempt(entry.stage(), entry.attempts()));
        return ownJobs.stream()
                .filter(job -> StageJob.isOwnedBy(job, migration))
                .flatMap(job -> unfinished(migration, job).stream())
                .filter(attempt -> expected.filter(attempt::equals).isEmpty())
                .findFirst();
    }

    private static Optional<Attempt> unfinished(BlobMigration migration, Job job) {
        String uid = migration.getMetadata().getUid();
        return StageLedger.STAGES.stream()
                .flatMap(stage -> StageJob.attempt(uid, stage, job.getMetadata().getName()).stream()
                        .mapToObj(number -> new Attempt(stage, number)))
                .filter(attempt -> JobReport.of(job, attempt.stage(), List.of()) instanceof StageRun.Running)
                .findFirst();
    }

    private Optional<Deployment> deployment(BlobMigration migration) {
        return Optional.ofNullable(client.apps()
                .deployments()
                .inNamespace(migration.getMetadata().getNamespace())
                .withName(migration.getSpec().workload().name())
                .get());
    }

    private Workload workload(BlobMigration migration, Ends ends, Optional<Deployment> deployment) {
        String name = migration.getSpec().workload().name();
        if (deployment.isEmpty()) {
            return new Workload.Missing(name);
        }
        return switch (jobs.of(migration, ends, deployment.get(), Stage.PLAN, 1)) {
            case StageJob.Built built -> new Workload.Usable(name);
            case StageJob.Refused refused -> new Workload.Unusable(name, refused.reason(), refused.message());
        };
    }

    private static Spec spec(BlobMigrationSpec spec) {
        return new Spec(
                spec.mode() == Mode.PLAN,
                spec.suspend(),
                spec.cancel(),
                spec.sourceCleanup().policy() == CleanupPolicy.DELETE,
                MigrationJobs.vacuums(spec),
                spec.vacuum().mode() == VacuumMode.FULL,
                SpecDuration.parse(spec.sourceCleanup().retentionPeriod()));
    }

    private static boolean specChanged(BlobMigration migration) {
        return migration.getStatus() == null
                || !Objects.equals(
                        migration.getStatus().observedGeneration(),
                        migration.getMetadata().getGeneration());
    }

    private static Place source(Ends ends) {
        return ends.spec().from().equals(Ends.DATABASE)
                ? new Place.Database(Optional.empty())
                : backend(ends.source(), ends.spec().from());
    }

    private Place target(BlobMigration migration, Ends ends) {
        return ends.spec().to().equals(Ends.DATABASE)
                ? new Place.Database(defaultElsewhere(migration))
                : backend(ends.target(), ends.spec().to());
    }

    private static Place backend(Optional<BlobstoreBackend> backend, String name) {
        return backend.map(MigrationGatherer::present).orElseGet(() -> new Place.Missing(name));
    }

    /** The backend that is the workload's default, or becomes it as soon as it can. */
    private Optional<String> defaultElsewhere(BlobMigration migration) {
        return client
                .resources(BlobstoreBackend.class)
                .inNamespace(migration.getMetadata().getNamespace())
                .list()
                .getItems()
                .stream()
                .filter(backend -> backend.getSpec()
                        .workload()
                        .name()
                        .equals(migration.getSpec().workload().name()))
                .filter(backend ->
                        isDefault(backend) || (backend.getSpec().isDefault() && !backend.isMarkedForDeletion()))
                .map(backend -> backend.getMetadata().getName())
                .min(Comparator.naturalOrder());
    }

    private static boolean isDefault(BlobstoreBackend backend) {
        return Optional.ofNullable(backend.getStatus())
                .map(BlobstoreBackendStatus::defaultState)
                .map(BlobstoreBackendStatus.DefaultState::actual)
                .orElse(false);
    }

    private static Place present(BlobstoreBackend backend) {
        Optional<BlobstoreBackendStatus> status = Optional.ofNullable(backend.getStatus());
        boolean isDefault = isDefault(backend);
        WrittenConditions known = new WrittenConditions(
                status.map(BlobstoreBackendStatus::conditions).orElse(null));
        return new Place.Backend(
                backend.getMetadata().getName(),
                backend.getSpec().workload().name(),
                backend.isMarkedForDeletion(),
                known.isTrue("Ready"),
                // While a new key is rolled out every pod has some revision of the backend, as its being the default
                // shows.
                known.isTrue("WorkloadConfigured") || isDefault,
                isDefault,
                known.find("Ready")
                        .map(condition -> "%s: %s".formatted(condition.getReason(), condition.getMessage()))
                        .orElse("it was not looked at yet"));
    }

    /** The migration that has begun to bring back what {@code migration} has moved and proven, if one has. */
    private static Optional<String> back(BlobMigration migration, StageLedger ledger, List<BlobMigration> others) {
        Entry verified = ledger.of(Stage.VERIFY);
        if (verified.state() != StageLedger.State.DONE) {
            return Optional.empty();
        }
        return others.stream()
                .filter(other -> other.getSpec()
                                .from()
                                .equals(migration.getSpec().to())
                        && other.getSpec().to().equals(migration.getSpec().from()))
                .filter(other -> hasCopiedSince(
                        verified.ended().orElseThrow(), StageLedgers.of(other).of(Stage.COPY)))
                .map(other -> other.getMetadata().getName())
                .min(Comparator.naturalOrder());
    }

    /** One that was begun earlier, and rested meanwhile, or within the same second, is seen only while it runs. */
    private static boolean hasCopiedSince(Instant time, Entry copy) {
        return copy.state() == StageLedger.State.RUNNING
                || copy.started().filter(time::isBefore).isPresent();
    }

    private static Optional<String> rival(
            BlobMigration migration, StageLedger ledger, List<BlobMigration> all, Instant now) {
        List<BlobMigration> others = all.stream()
                .filter(other -> !other.getMetadata()
                        .getName()
                        .equals(migration.getMetadata().getName()))
                .filter(other -> !other.isMarkedForDeletion())
                .toList();
        List<BlobMigration> keepers =
                others.stream().filter(other -> keepsItsSource(other, now)).toList();
        boolean runs = ledger.running().isPresent();
        Optional<String> keeper = runs ? Optional.empty() : keeper(migration, keepers);
        return keeper.or(() -> MigrationTurn.before(
                new Contender(
                        migration.getMetadata().getName(),
                        migration.getMetadata().getCreationTimestamp(),
                        true,
                        runs),
                others.stream()
                        .map(other -> contender(
                                other,
                                keepers.contains(other)
                                        || keeper(other, keepers).isPresent()))
                        .toList()));
    }

    /** The one whose source {@code migration} would clean, too, though it is to be kept; who goes back, or writes nothing, won't. */
    private static Optional<String> keeper(BlobMigration migration, List<BlobMigration> keepers) {
        return migration.getSpec().mode() == Mode.PLAN
                ? Optional.empty()
                : keepers.stream()
                        .filter(keeper -> !isBack(migration, keeper))
                        .map(keeper -> keeper.getMetadata().getName())
                        .filter(name -> !name.equals(migration.getMetadata().getName()))
                        .min(Comparator.naturalOrder());
    }

    private static boolean keepsItsSource(BlobMigration migration, Instant now) {
        return Optional.ofNullable(migration.getStatus())
                .map(BlobMigrationStatus::rollbackAvailableUntil)
                .flatMap(StageLedgers::instant)
                .filter(now::isBefore)
                .isPresent();
    }

    private static boolean isBack(BlobMigration migration, BlobMigration other) {
        return migration.getSpec().from().equals(other.getSpec().to())
                && migration.getSpec().to().equals(other.getSpec().from());
    }

    static boolean isOfSameWorkload(BlobMigration migration, BlobMigration other) {
        return other.getMetadata().getNamespace().equals(migration.getMetadata().getNamespace())
                && other.getSpec().workload().equals(migration.getSpec().workload());
    }

    /** @param waits whether it rests, or has to, for as long as a source is kept */
    private static Contender contender(BlobMigration migration, boolean waits) {
        WrittenConditions known = conditions(migration);
        boolean rests = waits
                || Stream.of("Complete", "Canceled", "Failed", "Stalled").anyMatch(known::isTrue)
                || waitsForItsTarget(known);
        BlobMigrationSpec spec = migration.getSpec();
        return new Contender(
                migration.getMetadata().getName(),
                migration.getMetadata().getCreationTimestamp(),
                !rests && !spec.suspend() && !spec.cancel(),
                StageLedgers.of(migration).running().isPresent());
    }

    /** To be the default, which it may never be again: whoever brings its blobs back would wait for it half-way. */
    private static boolean waitsForItsTarget(WrittenConditions known) {
        return known.find("Reconciling")
                .filter(condition -> Reasons.TARGET_NOT_DEFAULT.equals(condition.getReason()))
                .isPresent();
    }

    private static WrittenConditions conditions(BlobMigration migration) {
        return new WrittenConditions(Optional.ofNullable(migration.getStatus())
                .map(BlobMigrationStatus::conditions)
                .orElse(null));
    }

    /** The newest first: at least its words are new. */
    private static List<ProgressReader.Source> speakers(Job job, Stage stage, List<Pod> pods) {
        return pods.stream()
                .filter(pod -> pod.getMetadata().getOwnerReferences().stream()
                        .anyMatch(
                                owner -> owner.getUid().equals(job.getMetadata().getUid())))
                .filter(pod -> pod.getStatus() != null
                        && "Running".equals(pod.getStatus().getPhase()))
                .sorted(Comparator.comparing((Pod pod) -> pod.getMetadata().getCreationTimestamp())
                        .thenComparing(pod -> pod.getMetadata().getName())
                        .reversed())
                .map(pod -> new ProgressReader.Source(
                        pod.getMetadata().getNamespace(),
                        pod.getMetadata().getName(),
                        job.getSpec()
                                .getTemplate()
                                .getSpec()
                                .getContainers()
                                .getFirst()
                                .getName(),
                        stage))
                .toList();
    }

    private static boolean isAlive(Pod pod) {
        String phase = pod.getStatus() == null ? "Pending" : pod.getStatus().getPhase();
        return !"Succeeded".equals(phase) && !"Failed".equals(phase);
    }
}
