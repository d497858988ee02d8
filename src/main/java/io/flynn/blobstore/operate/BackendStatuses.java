package io.flynn.blobstore.operate;

import io.flynn.blobstore.api.v1alpha1.BlobstoreBackend;
import io.flynn.blobstore.api.v1alpha1.BlobstoreBackendStatus;
import io.flynn.blobstore.api.v1alpha1.BlobstoreBackendStatus.Check;
import io.flynn.blobstore.api.v1alpha1.BlobstoreBackendStatus.DefaultState;
import io.flynn.blobstore.api.v1alpha1.BlobstoreBackendStatus.Inventory;
import io.flynn.blobstore.api.v1alpha1.BlobstoreBackendStatus.ProbeState;
import io.flynn.blobstore.api.v1alpha1.BlobstoreBackendStatus.WorkloadState;
import io.flynn.blobstore.blob.ByteSize;
import io.flynn.blobstore.decide.BackendDecision;
import io.flynn.blobstore.decide.BackendEnvironment;
import io.flynn.blobstore.decide.BackendFacts;
import io.flynn.blobstore.decide.BackendFacts.Memory;
import io.flynn.blobstore.decide.BackendFacts.ProbeRun;
import io.flynn.blobstore.decide.BackendFacts.Workload.Live;
import io.flynn.blobstore.decide.BackendFacts.Workload.Missing;
import io.flynn.blobstore.decide.Condition;
import io.flynn.blobstore.decide.Obstacle;
import io.flynn.blobstore.decide.StageReport;
import io.flynn.blobstore.decide.StageReport.Figure;
import io.flynn.blobstore.decide.StageReport.Finding;
import io.flynn.blobstore.decide.StageReport.Level;
import io.flynn.blobstore.decide.StageRun;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/** A backend's status after a decision. Pure; deciding the same again gives the same status. */
final class BackendStatuses {

    private BackendStatuses() {}

    static BlobstoreBackendStatus of(
            BlobstoreBackend resource, BackendFields fields, BackendFacts facts, BackendDecision decision) {
        @Nullable BlobstoreBackendStatus before = resource.getStatus();
        Memory memory = decision.memory();
        long generation = Objects.requireNonNullElse(resource.getMetadata().getGeneration(), 0L);
        return new BlobstoreBackendStatus(
                generation,
                Conditions.of(
                        decision.conditions(), before == null ? null : before.conditions(), generation, facts.now()),
                resource.backendName(),
                defaultState(resource, decision, before, facts.now()),
                lastReport(facts, false).map(BackendStatuses::probe).orElse(before == null ? null : before.probe()),
                inventory(facts).orElse(before == null ? null : before.inventory()),
                secret(memory.applied(), fields),
                secret(memory.lastGood(), fields),
                workload(resource, fields, facts, memory),
                IamPolicy.of(resource.getSpec().s3().bucket()),
                decision.summary());
    }

    /** What was known stays; what is wrong is said besides, unless a person is awaited: then the next look must not roll pods again. */
    static BlobstoreBackendStatus failing(BlobstoreBackend resource, Obstacle obstacle, Instant now) {
        BlobstoreBackendStatus before =
                Optional.ofNullable(resource.getStatus()).orElse(BlobstoreBackendStatus.NONE);
        if (BackendMemory.isFlapping(resource, before)) {
            return before;
        }
        long generation = Objects.requireNonNullElse(resource.getMetadata().getGeneration(), 0L);
        List<Condition> changed = List.of(
                Condition.isFalse("Ready", obstacle.reason(), obstacle.message()),
                Condition.isTrue("Reconciling", obstacle.reason(), obstacle.message()),
                Condition.isFalse("Stalled", obstacle.reason(), ""));
        List<io.fabric8.kubernetes.api.model.Condition> conditions =
                new ArrayList<>(Conditions.of(changed, before.conditions(), generation, now));
        Optional.ofNullable(before.conditions()).stream()
                .flatMap(List::stream)
                .filter(condition ->
                        changed.stream().noneMatch(other -> other.type().equals(condition.getType())))
                .forEach(conditions::add);
        BlobstoreBackendStatus known = BackendMemory.isOfSpec(resource, before) ? before : before.withoutReversals();
        return known.withConditions(generation, conditions, obstacle.reason());
    }

    private static @Nullable String secret(String hash, BackendFields fields) {
        return hash.isEmpty() ? null : fields.secretName(hash);
    }

    private static DefaultState defaultState(
            BlobstoreBackend resource, BackendDecision decision, @Nullable BlobstoreBackendStatus before, Instant now) {
        String since = Optional.ofNullable(before)
                .map(BlobstoreBackendStatus::defaultState)
                .filter(last -> last.actual() == decision.isDefault())
                .map(DefaultState::since)
                .orElseGet(() -> seconds(now));
        return new DefaultState(resource.getSpec().isDefault(), decision.isDefault(), since);
    }

    /** A run that ended with a report, newest first. */
    private static Optional<ProbeRun> lastReport(BackendFacts facts, boolean counting) {
        return facts.probes().reversed().stream()
                .filter(run -> counting || !run.inventoryOnly())
                .filter(run -> run.run() instanceof StageRun.Ended)
                .findFirst();
    }

    private static StageReport report(ProbeRun run) {
        return ((StageRun.Ended) run.run()).report();
    }

    private static ProbeState probe(ProbeRun run) {
        StageReport report = report(run);
        List<Check> checks = report.findings().stream()
                .filter(finding -> finding.subject().startsWith("s3:"))
                .map(BackendStatuses::check)
                .toList();
        OptionalLong millis = report.figure(Figure.DURATION_MILLIS);
        return new ProbeState(seconds(run.at()), millis.isPresent() ? millis.getAsLong() : null, checks);
    }

    private static Check check(Finding finding) {
        return new Check(
                finding.subject().substring("s3:".length()),
                finding.subject(),
                finding.level() == Level.OK,
                finding.message().isEmpty() ? null : finding.message());
    }

    private static Optional<Inventory> inventory(BackendFacts facts) {
        return lastReport(facts, true).flatMap(run -> {
            OptionalLong blobs = report(run).figure(Figure.BLOBS);
            OptionalLong bytes = report(run).figure(Figure.BYTES);
            return blobs.isPresent() && bytes.isPresent()
                    ? Optional.of(new Inventory(
                            blobs.getAsLong(),
                            bytes.getAsLong(),
                            new ByteSize(bytes.getAsLong()).display(),
                            seconds(run.at())))
                    : Optional.empty();
        });
    }

    private static @Nullable WorkloadState workload(
            BlobstoreBackend resource, BackendFields fields, BackendFacts facts, Memory memory) {
        String name = resource.getSpec().workload().name();
        List<String> reversals =
                memory.reversals().stream().map(BackendStatuses::seconds).toList();
        return switch (facts.workload()) {
            case Missing missing ->
                new WorkloadState(name, 0, 0, phase(null, fields, memory).word(), List.of(), reversals);
            case Live live ->
                new WorkloadState(
                        name,
                        (int) live.pods().stream()
                                .filter(pod ->
                                        !pod.hash().isEmpty() && pod.hash().equals(memory.applied()))
                                .count(),
                        live.pods().size(),
                        phase(live, fields, memory).word(),
                        ownedEnv(live, fields),
                        reversals);
        };
    }

    private static WorkloadPhase phase(@Nullable Live live, BackendFields fields, Memory memory) {
        if (memory.removing()) {
            return WorkloadPhase.REMOVING;
        }
        if (memory.defaultGiven()) {
            boolean everywhere = live != null
                    && live.pods().stream()
                            .allMatch(pod ->
                                    pod.defaultBackend().equals(fields.backend().value()));
            return everywhere ? WorkloadPhase.DEFAULT : WorkloadPhase.DEFAULT_ROLLING_OUT;
        }
        if (memory.applied().isEmpty()) {
            return WorkloadPhase.UNCONFIGURED;
        }
        return memory.applied().equals(memory.lastGood()) ? WorkloadPhase.CONFIGURED : WorkloadPhase.ROLLING_OUT;
    }

    private static List<String> ownedEnv(Live live, BackendFields fields) {
        List<String> owned = new ArrayList<>(live.hash().isEmpty() ? List.of() : fields.variables());
        if (live.defaultIsOurs()
                && live.defaultBackend().equals(fields.backend().value())) {
            owned.add(BackendEnvironment.DEFAULT_VARIABLE);
        }
        return owned;
    }

    private static String seconds(Instant instant) {
        return instant.truncatedTo(ChronoUnit.SECONDS).toString();
    }
}
