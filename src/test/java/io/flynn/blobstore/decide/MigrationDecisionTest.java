package io.flynn.blobstore.decide;

import static io.flynn.blobstore.decide.Migrations.CANCEL;
import static io.flynn.blobstore.decide.Migrations.FULL_VACUUM;
import static io.flynn.blobstore.decide.Migrations.KEEP_AN_HOUR;
import static io.flynn.blobstore.decide.Migrations.NO_VACUUM;
import static io.flynn.blobstore.decide.Migrations.PLAN_ONLY;
import static io.flynn.blobstore.decide.Migrations.RETAIN;
import static io.flynn.blobstore.decide.Migrations.RUN;
import static io.flynn.blobstore.decide.Migrations.SUSPEND;
import static io.flynn.blobstore.decide.Migrations.at;
import static io.flynn.blobstore.decide.Migrations.ledger;
import static io.flynn.blobstore.decide.Migrations.running;
import static io.flynn.blobstore.decide.Migrations.target;
import static io.flynn.blobstore.decide.Stage.CLEAN;
import static io.flynn.blobstore.decide.Stage.COPY;
import static io.flynn.blobstore.decide.Stage.PLAN;
import static io.flynn.blobstore.decide.Stage.VACUUM;
import static io.flynn.blobstore.decide.Stage.VERIFY;
import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.decide.MigrationDecision.Action;
import io.flynn.blobstore.decide.MigrationDecision.Action.Limit;
import io.flynn.blobstore.decide.MigrationDecision.Action.Nothing;
import io.flynn.blobstore.decide.MigrationDecision.Action.Start;
import io.flynn.blobstore.decide.MigrationDecision.Action.Stop;
import io.flynn.blobstore.decide.MigrationFacts.Place;
import io.flynn.blobstore.decide.MigrationFacts.Spec;
import io.flynn.blobstore.decide.MigrationFacts.Workload;
import io.flynn.blobstore.decide.Migrations.Given;
import io.flynn.blobstore.decide.StageLedger.State;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.random.RandomGenerator;
import java.util.random.RandomGeneratorFactory;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.FieldSource;

class MigrationDecisionTest {

    private static final Set<String> WHOLE =
            Set.of("Complete", "Failed", "Canceled", "Suspended", "Reconciling", "Stalled");

    /** One row of the table: what is given, what is done, which of the conditions that tools read holds, why, and the phase. */
    record Case(String when, Given given, Action action, String holds, String reason, String phase) {
        @Override
        public String toString() {
            return when;
        }
    }

    static final List<Case> CASES = List.of(
            // one stage after the other
            new Case("new", at(PLAN), new Start(PLAN, 1), "Reconciling", "Running", "Planning"),
            new Case("plan works", running(PLAN).works(), new Nothing(), "Reconciling", "Running", "Planning"),
            new Case("plan done", done(PLAN), new Start(COPY, 1), "Reconciling", "Running", "Copying"),
            new Case("copy done", done(COPY), new Start(VERIFY, 1), "Reconciling", "Running", "Verifying"),
            new Case("verify done", done(VERIFY), new Start(CLEAN, 1), "Reconciling", "Running", "Cleaning"),
            new Case("clean done", done(CLEAN), new Start(VACUUM, 1), "Reconciling", "Running", "Vacuuming"),
            new Case("vacuum done", done(VACUUM), new Nothing(), "Complete", "Done", "Complete"),
            // what isn't asked for
            new Case("plan only, done", done(PLAN).spec(PLAN_ONLY), new Nothing(), "Complete", "PlanReady", "Complete"),
            new Case("source retained", done(VERIFY).spec(RETAIN), new Nothing(), "Complete", "Done", "Complete"),
            new Case("no vacuum", done(CLEAN).spec(NO_VACUUM), new Nothing(), "Complete", "Done", "Complete"),
            new Case(
                    "retained, then clean-up asked for after all",
                    at(PLAN).then(done(VERIFY).spec(RETAIN).decide()).spec(RUN),
                    new Start(CLEAN, 1),
                    "Reconciling",
                    "Running",
                    "Cleaning"),
            // what is kept for a time
            new Case(
                    "verify done, source kept",
                    done(VERIFY).spec(KEEP_AN_HOUR),
                    new Nothing(),
                    "Suspended",
                    "InRetention",
                    "InRetention"),
            new Case(
                    "source kept, whatever became of the target meanwhile",
                    inRetention().target(target(false, true, false)).rival("other"),
                    new Nothing(),
                    "Suspended",
                    "InRetention",
                    "InRetention"),
            new Case(
                    "source kept until now",
                    inRetention().after(Duration.ofHours(1)),
                    new Start(CLEAN, 1),
                    "Reconciling",
                    "Running",
                    "Cleaning"),
            new Case(
                    "source kept, and then not any more",
                    inRetention().spec(RUN),
                    new Start(CLEAN, 1),
                    "Reconciling",
                    "Running",
                    "Cleaning"),
            new Case(
                    "source kept for ever",
                    inRetention().spec(new Spec(false, false, false, false, true, false, Duration.ofHours(1))),
                    new Nothing(),
                    "Complete",
                    "Done",
                    "Complete"),
            new Case(
                    "source kept, suspended beyond it",
                    inRetention()
                            .spec(new Spec(false, true, false, true, true, false, Duration.ofHours(1)))
                            .after(Duration.ofHours(2)),
                    new Nothing(),
                    "Suspended",
                    "Suspended",
                    "Suspended"),
            new Case(
                    "clean is tried again, and doesn't wait once more",
                    at(CLEAN)
                            .ledger(ledger(CLEAN, State.RUNNING, 1))
                            .spec(KEEP_AN_HOUR)
                            .ends(ExitCode.RETRY, "RowsBusy"),
                    new Nothing(),
                    "Reconciling",
                    "RowsBusy",
                    "Waiting"),
            // somebody brings the blobs back
            new Case(
                    "in retention, blobs are brought back",
                    inRetention().broughtBackBy("s3-to-pg"),
                    new Nothing(),
                    "Canceled",
                    "MovedBack",
                    "Canceled"),
            new Case(
                    "brought back, and whoever did it is deleted; retention is over",
                    at(CLEAN)
                            .then(inRetention().broughtBackBy("s3-to-pg").decide())
                            .spec(KEEP_AN_HOUR)
                            .after(Duration.ofHours(2)),
                    new Nothing(),
                    "Canceled",
                    "MovedBack",
                    "Canceled"),
            new Case(
                    "brought back, and nothing is to be removed any more",
                    at(CLEAN)
                            .then(inRetention().broughtBackBy("s3-to-pg").decide())
                            .spec(RETAIN),
                    new Nothing(),
                    "Canceled",
                    "MovedBack",
                    "Canceled"),
            new Case(
                    "brought back while it cleans",
                    running(CLEAN).works().broughtBackBy("s3-to-pg"),
                    new Stop(CLEAN, 1),
                    "Reconciling",
                    "Stopping",
                    "Cleaning"),
            new Case(
                    "brought back, but it is cleaned already",
                    at(VACUUM).broughtBackBy("s3-to-pg"),
                    new Start(VACUUM, 1),
                    "Reconciling",
                    "Running",
                    "Vacuuming"),
            // the Job is not there
            new Case(
                    "operator died before it made the Job",
                    running(COPY),
                    new Start(COPY, 1),
                    "Reconciling",
                    "Running",
                    "Copying"),
            new Case(
                    "Job can't start its pod",
                    running(COPY).run(new StageRun.Running("PodNotStarted", "pod a: ImagePullBackOff: no such image")),
                    new Nothing(),
                    "Reconciling",
                    "PodNotStarted",
                    "Copying"),
            new Case(
                    "Job tries its pod again",
                    running(COPY).run(new StageRun.Running("StoreBusy", "slow down")),
                    new Nothing(),
                    "Reconciling",
                    "StoreBusy",
                    "Copying"),
            // trouble that passes
            new Case("exit 75", retried(COPY), new Nothing(), "Reconciling", "DatabaseUnreachable", "Waiting"),
            new Case(
                    "exit 75, too early to try again",
                    at(COPY).then(retried(COPY).decide()).after(Duration.ofMillis(1900)),
                    new Nothing(),
                    "Reconciling",
                    "DatabaseUnreachable",
                    "Waiting"),
            new Case(
                    "exit 75, time to try again",
                    at(COPY).then(retried(COPY).decide()).after(Duration.ofSeconds(2)),
                    new Start(COPY, 2),
                    "Reconciling",
                    "Running",
                    "Copying"),
            new Case("report lost", lost(COPY), new Nothing(), "Reconciling", "ReportLost", "Waiting"),
            new Case(
                    "report lost, time to run again",
                    at(COPY).then(lost(COPY).decide()).after(Duration.ofSeconds(2)),
                    new Start(COPY, 2),
                    "Reconciling",
                    "Running",
                    "Copying"),
            // what verify and clean find
            new Case(
                    "verify finds rows at the source",
                    running(VERIFY).ends(ExitCode.DONE, "BlobsRemain"),
                    new Nothing(),
                    "Reconciling",
                    "BlobsRemain",
                    "Waiting"),
            new Case(
                    "then they are copied",
                    at(COPY).then(running(VERIFY)
                                    .ends(ExitCode.DONE, "BlobsRemain")
                                    .decide())
                            .after(Duration.ofSeconds(2)),
                    new Start(COPY, 2),
                    "Reconciling",
                    "Running",
                    "Copying"),
            new Case(
                    "clean puts rows back",
                    at(COPY).then(running(CLEAN)
                                    .ends(ExitCode.DONE, "BlobsRemain")
                                    .decide())
                            .after(Duration.ofSeconds(2)),
                    new Start(COPY, 2),
                    "Reconciling",
                    "Running",
                    "Copying"),
            // trouble that doesn't pass
            new Case(
                    "plan finds a blocker",
                    failed(PLAN, "VacuumNotPermitted"),
                    new Nothing(),
                    "Failed+Stalled",
                    "VacuumNotPermitted",
                    "Failed"),
            new Case(
                    "wrong environment",
                    running(PLAN).ends(ExitCode.USAGE, "EnvironmentIncomplete"),
                    new Nothing(),
                    "Failed+Stalled",
                    "EnvironmentIncomplete",
                    "Failed"),
            new Case(
                    "copy fails for good",
                    failed(COPY, "BucketMissing"),
                    new Nothing(),
                    "Failed+Stalled",
                    "BucketMissing",
                    "Failed"),
            new Case(
                    "verify disbelieves",
                    failed(VERIFY, "BlobsFailed"),
                    new Nothing(),
                    "Failed+Stalled",
                    "BlobsFailed",
                    "Failed"),
            new Case(
                    "stays failed",
                    at(PLAN).then(failed(VERIFY, "BlobsFailed").decide()),
                    new Nothing(),
                    "Failed+Stalled",
                    "BlobsFailed",
                    "Failed"),
            new Case(
                    "failed verify, spec changed",
                    at(PLAN).then(failed(VERIFY, "BlobsFailed").decide()).changed(),
                    new Start(COPY, 2),
                    "Reconciling",
                    "Running",
                    "Copying"),
            new Case(
                    "failed clean, spec changed",
                    at(PLAN).then(failed(CLEAN, "LargeObjectsDenied").decide()).changed(),
                    new Start(CLEAN, 2),
                    "Reconciling",
                    "Running",
                    "Cleaning"),
            // vacuum never spoils the blobs' success
            new Case(
                    "vacuum not permitted",
                    failed(VACUUM, "VacuumNotPermitted"),
                    new Nothing(),
                    "Complete",
                    "Done",
                    "Complete"),
            new Case(
                    "vacuum waits for its lock",
                    retried(VACUUM),
                    new Nothing(),
                    "Reconciling",
                    "DatabaseUnreachable",
                    "Waiting"),
            new Case(
                    "vacuum gave up waiting",
                    retried(VACUUM).ledger(ledger(VACUUM, State.RUNNING, 5)),
                    new Nothing(),
                    "Complete",
                    "Done",
                    "Complete"),
            new Case(
                    "full vacuum's report lost",
                    lost(VACUUM).spec(FULL_VACUUM),
                    new Nothing(),
                    "Complete",
                    "Done",
                    "Complete"),
            new Case(
                    "full vacuum's Job is gone",
                    running(VACUUM).spec(FULL_VACUUM),
                    new Nothing(),
                    "Complete",
                    "Done",
                    "Complete"),
            new Case(
                    "full vacuum's Job is gone, spec changed",
                    at(PLAN).then(running(VACUUM).spec(FULL_VACUUM).decide())
                            .spec(FULL_VACUUM)
                            .changed(),
                    new Start(VACUUM, 2),
                    "Reconciling",
                    "Running",
                    "Vacuuming"),
            new Case(
                    "full vacuum's Job was refused",
                    at(PLAN).then(at(VACUUM).spec(FULL_VACUUM).decide().refused("quota exceeded"))
                            .spec(FULL_VACUUM),
                    new Start(VACUUM, 1),
                    "Reconciling",
                    "JobRefused",
                    "Vacuuming"),
            new Case(
                    "full vacuum was suspended, and its Job is gone",
                    running(VACUUM).spec(new Spec(false, true, false, true, true, true, Duration.ZERO)),
                    new Nothing(),
                    "Suspended",
                    "Suspended",
                    "Suspended"),
            new Case(
                    "another vacuum's report lost",
                    lost(VACUUM),
                    new Nothing(),
                    "Reconciling",
                    "ReportLost",
                    "Waiting"),
            new Case(
                    "vacuum failed, spec changed",
                    at(PLAN).then(failed(VACUUM, "VacuumNotPermitted").decide()).changed(),
                    new Start(VACUUM, 2),
                    "Reconciling",
                    "Running",
                    "Vacuuming"),
            // at rest on request
            new Case(
                    "suspended before it began",
                    at(PLAN).spec(SUSPEND),
                    new Nothing(),
                    "Suspended",
                    "Suspended",
                    "Suspended"),
            new Case(
                    "suspended while it copies",
                    running(COPY).works().spec(SUSPEND),
                    new Stop(COPY, 1),
                    "Reconciling",
                    "Stopping",
                    "Copying"),
            new Case(
                    "suspended, pod drains",
                    running(COPY).podsAlive(true).spec(SUSPEND),
                    new Nothing(),
                    "Reconciling",
                    "Stopping",
                    "Copying"),
            new Case(
                    "suspended, pod gone",
                    running(COPY).spec(SUSPEND),
                    new Nothing(),
                    "Suspended",
                    "Suspended",
                    "Suspended"),
            new Case(
                    "suspended as copy was done",
                    done(COPY).spec(SUSPEND),
                    new Nothing(),
                    "Suspended",
                    "Suspended",
                    "Suspended"),
            new Case(
                    "resumed",
                    at(COPY).then(running(COPY).spec(SUSPEND).decide()).changed(),
                    new Start(COPY, 2),
                    "Reconciling",
                    "Running",
                    "Copying"),
            new Case(
                    "failed, then suspended",
                    at(PLAN).then(failed(COPY, "BucketMissing").decide())
                            .spec(SUSPEND)
                            .changed(),
                    new Nothing(),
                    "Suspended",
                    "Suspended",
                    "Suspended"),
            // no longer asked for
            new Case(
                    "clean-up no longer asked for while it runs",
                    running(CLEAN).works().spec(RETAIN),
                    new Stop(CLEAN, 1),
                    "Reconciling",
                    "Stopping",
                    "Cleaning"),
            new Case(
                    "clean-up no longer asked for, pod drains",
                    running(CLEAN).podsAlive(true).spec(RETAIN),
                    new Nothing(),
                    "Reconciling",
                    "Stopping",
                    "Cleaning"),
            new Case(
                    "clean-up no longer asked for, pod gone",
                    running(CLEAN).spec(RETAIN),
                    new Nothing(),
                    "Complete",
                    "Done",
                    "Complete"),
            new Case(
                    "clean-up no longer asked for as it is to be tried again",
                    retried(CLEAN).spec(RETAIN),
                    new Nothing(),
                    "Complete",
                    "Done",
                    "Complete"),
            new Case(
                    "clean-up no longer asked for since it failed",
                    at(PLAN).then(failed(CLEAN, "LargeObjectsDenied").decide())
                            .spec(RETAIN)
                            .changed(),
                    new Nothing(),
                    "Complete",
                    "Done",
                    "Complete"),
            new Case(
                    "vacuum no longer asked for while it runs",
                    running(VACUUM).works().spec(NO_VACUUM),
                    new Stop(VACUUM, 1),
                    "Reconciling",
                    "Stopping",
                    "Vacuuming"),
            // a Job that an operator made that had slept meanwhile
            new Case(
                    "a Job comes late, when all is suspended",
                    at(PLAN).then(running(COPY).spec(SUSPEND).decide())
                            .spec(SUSPEND)
                            .stray(COPY, 1),
                    new Stop(COPY, 1),
                    "Reconciling",
                    "Stopping",
                    "Waiting"),
            new Case(
                    "a Job comes late, its pod drains",
                    at(COPY).spec(SUSPEND).podsAlive(true),
                    new Nothing(),
                    "Reconciling",
                    "Stopping",
                    "Waiting"),
            new Case(
                    "a Job comes late, when the next attempt runs",
                    running(COPY).ledger(ledger(COPY, State.RUNNING, 2)).works().stray(COPY, 1),
                    new Stop(COPY, 1),
                    "Reconciling",
                    "Stopping",
                    "Copying"),
            new Case(
                    "a Job comes late, when all is done",
                    at(PLAN).then(done(VACUUM).decide()).stray(VACUUM, 1),
                    new Stop(VACUUM, 1),
                    "Reconciling",
                    "Stopping",
                    "Waiting"),
            // ended on request
            new Case(
                    "canceled before it began",
                    at(PLAN).spec(CANCEL),
                    new Nothing(),
                    "Canceled",
                    "Canceled",
                    "Canceled"),
            new Case(
                    "canceled while it copies",
                    running(COPY).works().spec(CANCEL),
                    new Stop(COPY, 1),
                    "Reconciling",
                    "Stopping",
                    "Copying"),
            new Case(
                    "canceled, pod gone",
                    running(COPY).spec(CANCEL),
                    new Nothing(),
                    "Canceled",
                    "Canceled",
                    "Canceled"),
            new Case(
                    "canceled when failed",
                    at(PLAN).then(failed(COPY, "BucketMissing").decide()).spec(CANCEL),
                    new Nothing(),
                    "Canceled",
                    "Canceled",
                    "Canceled"),
            new Case(
                    "canceled when all was done",
                    done(VACUUM).spec(CANCEL),
                    new Nothing(),
                    "Complete",
                    "Done",
                    "Complete"),
            // one at a time
            new Case(
                    "another goes first",
                    at(PLAN).rival("older"),
                    new Nothing(),
                    "Reconciling",
                    "AnotherMigration",
                    "Waiting"),
            new Case(
                    "both run",
                    running(COPY).works().rival("older"),
                    new Stop(COPY, 1),
                    "Reconciling",
                    "AnotherMigration",
                    "Copying"),
            new Case(
                    "target of another workload, and another migration works",
                    at(PLAN).target(foreign()).rival("younger"),
                    new Nothing(),
                    "Stalled",
                    "TargetOfAnotherWorkload",
                    "Stalled"),
            new Case(
                    "container ambiguous, and another migration works",
                    done(COPY).workload(ambiguous()).rival("younger"),
                    new Nothing(),
                    "Stalled",
                    "ContainerAmbiguous",
                    "Stalled"),
            new Case(
                    "target of another workload no more, and another migration works",
                    at(PLAN).then(at(PLAN).target(foreign()).decide()).rival("younger"),
                    new Nothing(),
                    "Reconciling",
                    "AnotherMigration",
                    "Waiting"),
            // what a pod that runs is told
            new Case(
                    "limits changed while it copies",
                    running(COPY).works().limitsChanged(),
                    new Limit(COPY, 1),
                    "Reconciling",
                    "Running",
                    "Copying"),
            new Case(
                    "limits changed, and it is to be stopped",
                    running(COPY).works().limitsChanged().spec(SUSPEND),
                    new Stop(COPY, 1),
                    "Reconciling",
                    "Stopping",
                    "Copying"),
            // the source
            new Case(
                    "source missing",
                    at(PLAN).source(new Place.Missing("s3old")),
                    new Nothing(),
                    "Reconciling",
                    "BackendNotFound",
                    "Waiting"),
            new Case(
                    "source not in every pod",
                    at(PLAN).source(source("blobstore", false)),
                    new Nothing(),
                    "Reconciling",
                    "SourceNotReady",
                    "Waiting"),
            new Case(
                    "source taken from the pods while it copies",
                    running(COPY).works().source(source("blobstore", false)),
                    new Stop(COPY, 1),
                    "Reconciling",
                    "SourceNotReady",
                    "Copying"),
            new Case(
                    "source of another workload",
                    at(PLAN).source(source("other", true)),
                    new Nothing(),
                    "Stalled",
                    "SourceOfAnotherWorkload",
                    "Stalled"),
            new Case(
                    "source that leaves, and can be read",
                    at(PLAN).source(source("blobstore", true)),
                    new Start(PLAN, 1),
                    "Reconciling",
                    "Running",
                    "Planning"),
            new Case(
                    "to the database, and new blobs go there",
                    at(PLAN).source(source("blobstore", true)).target(new Place.Database(Optional.empty())),
                    new Start(PLAN, 1),
                    "Reconciling",
                    "Running",
                    "Planning"),
            new Case(
                    "to the database, and new blobs go elsewhere",
                    at(PLAN).source(source("blobstore", true)).target(new Place.Database(Optional.of("s3main"))),
                    new Nothing(),
                    "Reconciling",
                    "TargetNotDefault",
                    "Waiting"),
            // the target
            new Case(
                    "target missing",
                    at(PLAN).target(new Place.Missing("s3main")),
                    new Nothing(),
                    "Reconciling",
                    "BackendNotFound",
                    "Waiting"),
            new Case(
                    "target not ready",
                    at(PLAN).target(target(false, false, false)),
                    new Nothing(),
                    "Reconciling",
                    "TargetNotReady",
                    "Waiting"),
            new Case(
                    "target not default",
                    at(PLAN).target(target(true, true, false)),
                    new Nothing(),
                    "Reconciling",
                    "TargetNotDefault",
                    "Waiting"),
            new Case(
                    "target leaves",
                    at(PLAN).target(leaving()),
                    new Nothing(),
                    "Reconciling",
                    "TargetNotReady",
                    "Waiting"),
            new Case(
                    "target leaves, and waits for the migration that has begun",
                    done(COPY).target(leaving()),
                    new Start(VERIFY, 1),
                    "Reconciling",
                    "Running",
                    "Verifying"),
            new Case(
                    "target leaves, and new blobs go elsewhere already",
                    running(COPY)
                            .works()
                            .target(new Place.Backend("s3main", "blobstore", true, false, true, false, "")),
                    new Stop(COPY, 1),
                    "Reconciling",
                    "TargetNotDefault",
                    "Copying"),
            new Case(
                    "target of another workload",
                    at(PLAN).target(foreign()),
                    new Nothing(),
                    "Stalled",
                    "TargetOfAnotherWorkload",
                    "Stalled"),
            new Case(
                    "store denies while it copies",
                    running(COPY).works().target(target(false, true, true)),
                    new Nothing(),
                    "Reconciling",
                    "Running",
                    "Copying"),
            new Case(
                    "store denies between two stages",
                    done(COPY).target(target(false, true, true)),
                    new Nothing(),
                    "Reconciling",
                    "TargetNotReady",
                    "Waiting"),
            new Case(
                    "default taken away while it copies",
                    running(COPY).works().target(target(true, true, false)),
                    new Stop(COPY, 1),
                    "Reconciling",
                    "TargetNotDefault",
                    "Copying"),
            new Case(
                    "workload rolled back while it copies",
                    running(COPY).works().target(target(false, false, false)),
                    new Stop(COPY, 1),
                    "Stalled",
                    "TargetLost",
                    "Stalled"),
            new Case(
                    "workload rolled back between two stages",
                    done(COPY).target(target(false, false, false)),
                    new Nothing(),
                    "Stalled",
                    "TargetLost",
                    "Stalled"),
            new Case(
                    "workload rolled back, nothing but vacuum left",
                    at(VACUUM).target(target(false, false, false)),
                    new Start(VACUUM, 1),
                    "Reconciling",
                    "Running",
                    "Vacuuming"),
            // the workload
            new Case(
                    "workload missing",
                    at(PLAN).workload(new Workload.Missing("blobstore")),
                    new Nothing(),
                    "Reconciling",
                    "WorkloadMissing",
                    "Waiting"),
            new Case(
                    "workload missing while it copies",
                    running(COPY).works().workload(new Workload.Missing("blobstore")),
                    new Nothing(),
                    "Reconciling",
                    "Running",
                    "Copying"),
            new Case(
                    "container ambiguous",
                    at(PLAN).workload(ambiguous()),
                    new Nothing(),
                    "Stalled",
                    "ContainerAmbiguous",
                    "Stalled"));

    @ParameterizedTest
    @FieldSource("CASES")
    void decides(Case c) {
        MigrationDecision decision = c.given().decide();

        assertThat(decision.action()).isEqualTo(c.action());
        assertThat(holding(decision)).isEqualTo(c.holds());
        assertThat(condition(decision, c.holds().replace("Failed+", "")).reason())
                .isEqualTo(c.reason());
        assertThat(decision.phase()).isEqualTo(c.phase());
    }

    /** Deciding again about the same world says the same, or conditions would flap and the status be written for ever. */
    @ParameterizedTest
    @FieldSource("CASES")
    void settlesDown(Case c) {
        MigrationDecision first = c.given().decide();
        if (first.action() instanceof Nothing) {
            Given next = c.given().then(first).podsAlive(c.given().podsAlive());
            if (first.ledger().running().isPresent() && c.given().run().isPresent()) {
                next = next.run(c.given().run().get());
            }

            MigrationDecision second = next.decide();

            assertThat(second.conditions()).isEqualTo(first.conditions());
            assertThat(second.ledger()).isEqualTo(first.ledger());
        }
    }

    @Test
    void rollbackIsAvailableUntilTheSourceIsTouched() {
        MigrationDecision kept = done(VERIFY).spec(KEEP_AN_HOUR).decide();
        assertThat(kept.rollbackUntil()).contains(Migrations.NOW.plus(Duration.ofHours(1)));
        assertThat(kept.message()).contains("kept until 2026-03-01T13:00:00Z");
        assertThat(kept.nextLook()).contains(Duration.ofMinutes(1));
        assertThat(kept.over()).isFalse();
        assertThat(stages(kept))
                .isEqualTo(
                        "Planned=True/Done Copied=True/Done Verified=True/Done SourceCleaned=False/InRetention SpaceReclaimed=False/Pending");
        Given later = inRetention().after(Duration.ofMinutes(59).plusSeconds(30));
        assertThat(later.decide().nextLook()).contains(Duration.ofSeconds(30));
        assertThat(later.decide().rollbackUntil()).isEqualTo(kept.rollbackUntil());

        assertThat(inRetention().after(Duration.ofHours(1)).decide().rollbackUntil())
                .isEmpty();
        assertThat(inRetention().broughtBackBy("s3-to-pg").decide().rollbackUntil())
                .isEmpty();
        assertThat(done(COPY).spec(KEEP_AN_HOUR).decide().rollbackUntil()).isEmpty();
        assertThat(done(VERIFY).decide().rollbackUntil()).isEmpty();
    }

    @Test
    void conditionsOfTheStagesFollowTheLedger() {
        assertThat(stages(at(PLAN).decide()))
                .isEqualTo(
                        "Planned=False/Running Copied=False/Pending Verified=False/Pending SourceCleaned=False/Pending SpaceReclaimed=False/Pending");
        assertThat(stages(done(VERIFY).decide()))
                .isEqualTo(
                        "Planned=True/Done Copied=True/Done Verified=True/Done SourceCleaned=False/Running SpaceReclaimed=False/Pending");
        assertThat(stages(done(VERIFY).spec(RETAIN).decide()))
                .isEqualTo(
                        "Planned=True/Done Copied=True/Done Verified=True/Done SourceCleaned=False/NotRequested SpaceReclaimed=False/NotRequested");
        assertThat(stages(running(VERIFY).ends(ExitCode.DONE, "BlobsRemain").decide()))
                .isEqualTo(
                        "Planned=True/Done Copied=False/BlobsRemain Verified=False/BlobsRemain SourceCleaned=False/Pending SpaceReclaimed=False/Pending");
        assertThat(stages(at(PLAN).target(target(true, true, false)).decide()))
                .startsWith("Planned=False/TargetNotDefault ");
        assertThat(stages(failed(VACUUM, "VacuumNotPermitted").decide()))
                .endsWith("SourceCleaned=True/Done SpaceReclaimed=False/VacuumNotPermitted");
    }

    @Test
    void whatAStageSaidStaysInItsCondition() {
        MigrationDecision planned = running(PLAN).ends(ExitCode.DONE, "Done").decide();

        assertThat(condition(planned, "Planned").message()).isEqualTo("what the worker says");
        assertThat(condition(at(PLAN).then(planned).works().decide(), "Planned").message())
                .isEqualTo("what the worker says");
    }

    @Test
    void messageOfAFailureSaysHowToGoOn() {
        MigrationDecision decision = failed(VERIFY, "BlobsFailed").decide();

        assertThat(decision.message())
                .isEqualTo(
                        "verify: what the worker says; then set spec.suspend to true and back to false, and the stage runs again");
        assertThat(at(PLAN).then(decision).decide().message()).isEqualTo(decision.message());
    }

    @Test
    void rollbackSaysWhatIsAtStakeAndWhatToDo() {
        assertThat(done(COPY).target(target(false, false, false)).decide().message())
                .contains("rows name BlobstoreBackend s3main", "blobs can't be read", "entries in its environment");
    }

    @Test
    void delayGrowsForEverAndNotBeyondFiveMinutes() {
        List<Long> seconds = new ArrayList<>();
        for (int attempt : List.of(1, 2, 3, 8, 9, 30, 1_000_000)) {
            Given given = retried(COPY).ledger(ledger(COPY, State.RUNNING, attempt));
            seconds.add(at(COPY).then(given.decide())
                    .decide()
                    .nextLook()
                    .orElseThrow()
                    .toSeconds());
        }

        assertThat(seconds).containsExactly(2L, 4L, 8L, 256L, 300L, 300L, 300L);
    }

    @Test
    void attemptsAreNeverCountedTwiceAndNeverForgotten() {
        MigrationDecision stopped = running(COPY).works().spec(SUSPEND).decide();

        assertThat(stopped.ledger().of(COPY).attempts()).isEqualTo(1);
        assertThat(running(COPY).decide().ledger().of(COPY))
                .isEqualTo(running(COPY).ledger().of(COPY));
    }

    @Test
    void restsWithoutBeingWokenOnceItIsOver() {
        for (Given given : List.of(done(VACUUM), running(COPY).spec(CANCEL), failed(COPY, "BucketMissing"))) {
            assertThat(given.decide().nextLook()).isEmpty();
            assertThat(given.decide().over()).isTrue();
        }
        assertThat(at(PLAN).spec(SUSPEND).decide().over()).isFalse();
    }

    @ParameterizedTest
    @EnumSource(value = Stage.class, names = "PROBE", mode = EnumSource.Mode.EXCLUDE)
    void operatorThatDiesAnywhereGoesOnWithTheSameJob(Stage stage) {
        MigrationDecision started = at(stage).decide();

        assertThat(at(stage).then(started).decide().action()).isEqualTo(started.action());
    }

    /** Whatever the world does, a migration that is let be ends, and at every step exactly one standing holds. */
    @Test
    void endsWhateverHappensOnTheWay() {
        RandomGenerator random = RandomGeneratorFactory.of("L64X128MixRandom").create(7);
        for (int run = 0; run < 500; run++) {
            Given given = at(PLAN);
            for (int step = 0; step < 60; step++) {
                MigrationDecision decision = given.decide();
                assertThat(holding(decision)).isIn("Reconciling", "Suspended", "Complete", "Stalled", "Failed+Stalled");
                assertThat(decision.action())
                        .satisfiesAnyOf(
                                action -> assertThat(action).isInstanceOf(Nothing.class),
                                action ->
                                        assertThat(decision.ledger().running()).isPresent());
                given = surprised(at(PLAN).then(decision).after(Duration.ofHours(step)), random);
            }
            given = at(PLAN).then(given.target(Migrations.TARGET).decide())
                    .spec(RUN)
                    .changed();
            MigrationDecision decision = given.decide();
            for (int step = 0; step < 20 && !decision.over(); step++) {
                given = at(PLAN).then(decision).after(Duration.ofHours(100L + step));
                if (given.ledger().running().isPresent()) {
                    given = given.ends(ExitCode.DONE, "Done");
                }
                decision = given.decide();
            }
            assertThat(holding(decision)).isEqualTo("Complete");
        }
    }

    private static Given surprised(Given given, RandomGenerator random) {
        Given next = switch (random.nextInt(10)) {
            case 0 -> given.target(target(false, false, false));
            case 1 -> given.spec(SUSPEND).changed();
            case 2 -> given.rival("older");
            default -> given;
        };
        if (given.ledger().running().isEmpty()) {
            return random.nextInt(4) == 0 ? next.changed() : next;
        }
        return switch (random.nextInt(9)) {
            case 0, 1 -> next.ends(ExitCode.DONE, "Done");
            case 2 -> next.ends(ExitCode.DONE, "BlobsRemain");
            case 3 -> next.ends(ExitCode.RETRY, "StoreBusy");
            case 4 -> next.ends(ExitCode.FAILED, "BlobsFailed");
            case 5 -> next.run(new StageRun.Lost("gone"));
            case 6, 7 -> next.works();
            default -> next.podsAlive(random.nextBoolean());
        };
    }

    private static Given done(Stage stage) {
        return running(stage).ends(ExitCode.DONE, "Done");
    }

    /** Verified just now, with an hour to go. */
    private static Given inRetention() {
        return at(CLEAN).then(done(VERIFY).spec(KEEP_AN_HOUR).decide()).spec(KEEP_AN_HOUR);
    }

    private static Given retried(Stage stage) {
        return running(stage).ends(ExitCode.RETRY, "DatabaseUnreachable");
    }

    private static Given failed(Stage stage, String reason) {
        return running(stage).ends(ExitCode.FAILED, reason);
    }

    private static Given lost(Stage stage) {
        return running(stage).run(new StageRun.Lost("its pod is gone"));
    }

    private static Place leaving() {
        return new Place.Backend("s3main", "blobstore", true, false, true, true, "InUse: BlobMigration uses it");
    }

    /** A backend that is being deleted, so that its blobs are moved away. */
    private static Place source(String workload, boolean configured) {
        return new Place.Backend("s3old", workload, true, false, configured, false, "InUse: 3 blobs");
    }

    private static Place foreign() {
        return new Place.Backend("s3main", "other", false, true, true, true, "Ready");
    }

    private static Workload ambiguous() {
        return new Workload.Unusable("blobstore", "ContainerAmbiguous", "name one");
    }

    private static String holding(MigrationDecision decision) {
        return decision.conditions().stream()
                .filter(condition -> WHOLE.contains(condition.type()) && condition.isTrue())
                .map(Condition::type)
                .sorted()
                .collect(Collectors.joining("+"));
    }

    private static String stages(MigrationDecision decision) {
        return decision.conditions().stream()
                .filter(condition -> !WHOLE.contains(condition.type()))
                .map(condition -> "%s=%s/%s"
                        .formatted(condition.type(), condition.isTrue() ? "True" : "False", condition.reason()))
                .collect(Collectors.joining(" "));
    }

    private static Condition condition(MigrationDecision decision, String type) {
        return decision.conditions().stream()
                .filter(condition -> condition.type().equals(type))
                .findFirst()
                .orElseThrow();
    }
}
