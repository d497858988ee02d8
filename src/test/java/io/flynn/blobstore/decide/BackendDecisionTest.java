package io.flynn.blobstore.decide;

import static io.flynn.blobstore.decide.BackendScene.ELSEWHERE;
import static io.flynn.blobstore.decide.BackendScene.NEW;
import static io.flynn.blobstore.decide.BackendScene.OLD;
import static io.flynn.blobstore.decide.BackendScene.configured;
import static io.flynn.blobstore.decide.BackendScene.created;
import static io.flynn.blobstore.decide.BackendScene.ready;
import static io.flynn.blobstore.decide.BackendScene.report;
import static io.flynn.blobstore.decide.BackendScene.rolledOut;
import static io.flynn.blobstore.decide.BackendScene.rows;
import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.decide.BackendAction.Configure;
import io.flynn.blobstore.decide.BackendAction.DropDefault;
import io.flynn.blobstore.decide.BackendAction.MakeDefault;
import io.flynn.blobstore.decide.BackendAction.None;
import io.flynn.blobstore.decide.BackendAction.Probe;
import io.flynn.blobstore.decide.BackendAction.Release;
import io.flynn.blobstore.decide.BackendAction.Remove;
import io.flynn.blobstore.decide.BackendAction.Settle;
import io.flynn.blobstore.decide.BackendFacts.Deletion;
import io.flynn.blobstore.decide.BackendFacts.Pod;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.random.RandomGenerator;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class BackendDecisionTest {

    private static final BackendAction NONE = new None();
    private static final StageRun RUNNING = new StageRun.Running(Reasons.RUNNING, "the probe stage is running");
    private static final Duration LONG_AGO = Duration.ofMinutes(16);
    private static final Duration JUST_NOW = Duration.ofSeconds(10);

    /** @param state which of Ready, Reconciling and Stalled is true */
    record Case(String given, BackendScene scene, BackendAction action, String state, String reason) {
        @Override
        public String toString() {
            return given;
        }
    }

    static final List<Case> COMING = List.of(
            new Case("nothing was done yet", created(), new Probe(1, false), "Reconciling", Reasons.PROBING),
            new Case(
                    "spec can't be used",
                    created().problem(Obstacle.person(Reasons.SPEC_INVALID, "bad")),
                    NONE,
                    "Stalled",
                    Reasons.SPEC_INVALID),
            new Case("no Deployment", created().noWorkload(), NONE, "Reconciling", Reasons.WORKLOAD_MISSING),
            new Case("two containers", created().unclear(), NONE, "Stalled", Reasons.CONTAINER_AMBIGUOUS),
            new Case(
                    "no Secret",
                    created().noCredentials(Obstacle.waiting(Reasons.SECRET_MISSING, "no Secret")),
                    NONE,
                    "Reconciling",
                    Reasons.SECRET_MISSING),
            new Case(
                    "no Secret, but the Deployment is paused: what is missing first is said first",
                    created().paused().noCredentials(Obstacle.waiting(Reasons.SECRET_MISSING, "no Secret")),
                    NONE,
                    "Reconciling",
                    Reasons.SECRET_MISSING),
            new Case("somebody else's entry", created().rival("helm"), NONE, "Stalled", Reasons.FIELD_CONFLICT),
            new Case(
                    "somebody else's entry, to be taken over",
                    created().rival("helm").takeOwnership(),
                    new Probe(1, false),
                    "Reconciling",
                    Reasons.PROBING),
            new Case("probe runs", created().probed(NEW, JUST_NOW, RUNNING), NONE, "Reconciling", Reasons.PROBING),
            new Case(
                    "probe's image can't be pulled",
                    created().probed(NEW, JUST_NOW, new StageRun.Running(Reasons.POD_NOT_STARTED, "ImagePullBackOff")),
                    NONE,
                    "Reconciling",
                    Reasons.POD_NOT_STARTED),
            new Case(
                    "probe of an earlier key runs",
                    created().probed(OLD, JUST_NOW, RUNNING),
                    new Probe(2, false),
                    "Reconciling",
                    Reasons.PROBING),
            new Case(
                    "wrong key",
                    created()
                            .probed(
                                    NEW,
                                    JUST_NOW,
                                    report(ExitCode.FAILED, Reasons.CREDENTIALS_REFUSED, "refused", Map.of())),
                    NONE,
                    "Stalled",
                    Reasons.CREDENTIALS_REFUSED),
            new Case(
                    "wrong key, a minute ago: it is tried again",
                    created()
                            .probed(
                                    NEW,
                                    Duration.ofMinutes(1),
                                    report(ExitCode.FAILED, Reasons.CREDENTIALS_REFUSED, "refused", Map.of())),
                    new Probe(2, false),
                    "Stalled",
                    Reasons.CREDENTIALS_REFUSED),
            new Case(
                    "wrong key, tried again right now",
                    created()
                            .probed(
                                    NEW,
                                    LONG_AGO,
                                    report(ExitCode.FAILED, Reasons.CREDENTIALS_REFUSED, "refused", Map.of()))
                            .probed(NEW, JUST_NOW, RUNNING),
                    NONE,
                    "Stalled",
                    Reasons.CREDENTIALS_REFUSED),
            new Case(
                    "wrong key, then another one",
                    created()
                            .probed(
                                    OLD,
                                    JUST_NOW,
                                    report(ExitCode.FAILED, Reasons.CREDENTIALS_REFUSED, "refused", Map.of())),
                    new Probe(2, false),
                    "Reconciling",
                    Reasons.PROBING),
            new Case(
                    "nobody answers at the endpoint",
                    created()
                            .probed(
                                    NEW,
                                    JUST_NOW,
                                    report(ExitCode.RETRY, Reasons.ENDPOINT_UNREACHABLE, "nobody", Map.of())),
                    NONE,
                    "Reconciling",
                    Reasons.ENDPOINT_UNREACHABLE),
            new Case(
                    "probe ended without a word",
                    created().probed(NEW, JUST_NOW, new StageRun.Lost("gone")),
                    NONE,
                    "Reconciling",
                    Reasons.REPORT_LOST),
            new Case(
                    "probe ended without a word, and the next one's pod can't start",
                    created()
                            .probed(NEW, LONG_AGO, new StageRun.Lost("gone"))
                            .probed(NEW, JUST_NOW, new StageRun.Running(Reasons.POD_NOT_STARTED, "ImagePullBackOff")),
                    NONE,
                    "Reconciling",
                    Reasons.POD_NOT_STARTED),
            new Case("probe passed", created().passed(NEW), new Configure(), "Reconciling", Reasons.ROLLING_OUT),
            new Case(
                    "probe passed, with an earlier key",
                    created().passed(OLD),
                    new Probe(2, false),
                    "Reconciling",
                    Reasons.PROBING),
            new Case("entries are in, pods are old", configured(), NONE, "Reconciling", Reasons.ROLLING_OUT),
            new Case(
                    "one variable is missing",
                    rolledOut().incomplete(),
                    new Configure(),
                    "Reconciling",
                    Reasons.ROLLING_OUT),
            new Case(
                    "an old pod is left",
                    configured().pods(new Pod(NEW, ""), new Pod("", "")),
                    NONE,
                    "Reconciling",
                    Reasons.ROLLING_OUT),
            new Case(
                    "all pods are new, but the controller has not seen the newest template",
                    rolledOut().unobserved(),
                    NONE,
                    "Reconciling",
                    Reasons.ROLLING_OUT),
            new Case("Deployment is paused", configured().paused(), NONE, "Stalled", Reasons.WORKLOAD_PAUSED),
            new Case("rollout is stuck", configured().stuck(), NONE, "Stalled", Reasons.ROLLOUT_STUCK),
            new Case(
                    "every pod has it for the first time",
                    rolledOut().lastGood(""),
                    new Settle(),
                    "Reconciling",
                    Reasons.ROLLING_OUT),
            new Case(
                    "every pod has it and answers", rolledOut(), new MakeDefault(), "Reconciling", Reasons.ROLLING_OUT),
            new Case(
                    "every pod has it, not all answer",
                    rolledOut().unavailable(),
                    NONE,
                    "Reconciling",
                    Reasons.ROLLING_OUT),
            new Case(
                    "a pod still has the old default",
                    rolledOut().defaultIs("s3main").pods(new Pod(NEW, "s3main"), new Pod(NEW, "")),
                    NONE,
                    "Reconciling",
                    Reasons.ROLLING_OUT),
            new Case("ready", ready(), NONE, "Ready", Reasons.READY),
            new Case(
                    "a pod that ends has an old configuration",
                    ready().pods(new Pod(NEW, "s3main"), new Pod(OLD, "s3main")),
                    NONE,
                    "Reconciling",
                    Reasons.ROLLING_OUT),
            new Case("scaled to zero", ready().pods(), NONE, "Ready", Reasons.READY),
            new Case("not to be the default", rolledOut().notDefault(), NONE, "Ready", Reasons.READY));

    static final List<Case> STAYING = List.of(
            new Case(
                    "time for another probe",
                    ready().noProbes().probed(NEW, LONG_AGO, rows(0)),
                    new Probe(2, false),
                    "Ready",
                    Reasons.READY),
            new Case(
                    "time for another probe, which runs",
                    ready().noProbes().probed(NEW, LONG_AGO, rows(0)).probed(NEW, JUST_NOW, RUNNING),
                    NONE,
                    "Ready",
                    Reasons.READY),
            new Case(
                    "the operator starts again after the Jobs are gone",
                    ready().noProbes().verified(),
                    new Probe(1, false),
                    "Ready",
                    Reasons.READY),
            new Case(
                    "a later probe fails: nothing is rolled",
                    ready().probed(NEW, JUST_NOW, report(ExitCode.FAILED, Reasons.ACCESS_DENIED, "denied", Map.of())),
                    NONE,
                    "Stalled",
                    Reasons.ACCESS_DENIED),
            new Case(
                    "key was rotated: tried before it is rolled out",
                    ready().template(OLD).applied(OLD).noProbes().passed(OLD),
                    new Probe(2, false),
                    "Reconciling",
                    Reasons.PROBING),
            new Case(
                    "key was rotated and works",
                    ready().template(OLD).applied(OLD).pods(new Pod(OLD, "s3main")),
                    new Configure(),
                    "Reconciling",
                    Reasons.ROLLING_OUT),
            new Case(
                    "key was rotated and doesn't work",
                    ready().template(OLD)
                            .applied(OLD)
                            .pods(new Pod(OLD, "s3main"))
                            .probed(
                                    NEW,
                                    JUST_NOW,
                                    report(ExitCode.FAILED, Reasons.CREDENTIALS_REFUSED, "refused", Map.of())),
                    NONE,
                    "Stalled",
                    Reasons.CREDENTIALS_REFUSED),
            new Case(
                    "Secret is gone: pods keep what they have",
                    ready().noCredentials(Obstacle.waiting(Reasons.SECRET_MISSING, "no Secret")),
                    NONE,
                    "Reconciling",
                    Reasons.SECRET_MISSING),
            new Case(
                    "bucket changed, but new blobs go to the old one",
                    ready().template(OLD).applied(OLD).at(ELSEWHERE).noProbes().inUse(false),
                    NONE,
                    "Stalled",
                    Reasons.IMMUTABLE_WHILE_IN_USE),
            new Case(
                    "bucket changed, and a pod still sends new blobs to the old one",
                    moved().pods(new Pod(OLD, ""), new Pod(OLD, "s3main")).inUse(false),
                    NONE,
                    "Reconciling",
                    Reasons.ROLLING_OUT),
            new Case(
                    "bucket changed, no row used it when they were last counted: that may be long ago",
                    moved().inUse(false),
                    new Probe(1, true),
                    "Reconciling",
                    Reasons.PROBING),
            new Case("bucket changed, nobody has counted", moved(), new Probe(1, true), "Reconciling", Reasons.PROBING),
            new Case(
                    "bucket changed, rows used it when they were last counted: they may have gone",
                    moved().inUse(true),
                    new Probe(1, true),
                    "Stalled",
                    Reasons.IMMUTABLE_WHILE_IN_USE),
            new Case(
                    "bucket changed, the rows are counted",
                    moved().counted(JUST_NOW, RUNNING),
                    NONE,
                    "Reconciling",
                    Reasons.PROBING),
            new Case(
                    "bucket changed, rows use it",
                    moved().counted(JUST_NOW, rows(7)),
                    NONE,
                    "Stalled",
                    Reasons.IMMUTABLE_WHILE_IN_USE),
            new Case(
                    "bucket changed, nobody can count",
                    moved().counted(
                                    JUST_NOW,
                                    report(ExitCode.RETRY, Reasons.DATABASE_UNREACHABLE, "no database", Map.of())),
                    NONE,
                    "Reconciling",
                    Reasons.NOT_COUNTED),
            new Case(
                    "bucket changed, no row uses it",
                    moved().counted(JUST_NOW, rows(0)),
                    new Probe(2, false),
                    "Reconciling",
                    Reasons.PROBING),
            new Case(
                    "bucket changed, no row used it a minute ago",
                    moved().counted(Duration.ofMinutes(1), rows(0)),
                    new Probe(2, true),
                    "Reconciling",
                    Reasons.PROBING),
            new Case(
                    "bucket changed, no row used it before another change of the bucket",
                    moved().counted(OLD, JUST_NOW, rows(0)),
                    new Probe(2, true),
                    "Reconciling",
                    Reasons.PROBING),
            new Case(
                    "bucket changed, no row used it before the pods changed",
                    moved().counted(JUST_NOW, rows(0)).rolledAgain(),
                    new Probe(2, true),
                    "Reconciling",
                    Reasons.PROBING),
            new Case(
                    "bucket changed, and somebody took the entries away",
                    moved().template("").pods(new Pod("", "")),
                    new Probe(1, true),
                    "Reconciling",
                    Reasons.PROBING),
            new Case(
                    "bucket changed, no row uses it, and the new one is in order, as was found while the rows were counted",
                    moved().probed(NEW, JUST_NOW, rows(0)),
                    new Configure(),
                    "Reconciling",
                    Reasons.ROLLING_OUT),
            new Case(
                    "entries were taken away",
                    rolledOut().template(""),
                    new Configure(),
                    "Reconciling",
                    Reasons.ROLLING_OUT),
            new Case(
                    "entries were set back by a rollback of the Deployment",
                    rolledOut().template(OLD),
                    new Configure(),
                    "Reconciling",
                    Reasons.ROLLING_OUT),
            new Case(
                    "entries were taken away twice before",
                    rolledOut().template("").reversals(30, 60),
                    NONE,
                    "Stalled",
                    Reasons.OWNERSHIP_FLAPPING),
            new Case(
                    "entries were taken away twice before, but long ago",
                    rolledOut().template("").reversals(30, 601),
                    new Configure(),
                    "Reconciling",
                    Reasons.ROLLING_OUT),
            new Case(
                    "flapping stays, however long ago",
                    rolledOut().template("").flapping(),
                    NONE,
                    "Stalled",
                    Reasons.OWNERSHIP_FLAPPING),
            new Case(
                    "flapping, and the entries are back",
                    rolledOut().flapping().notDefault(),
                    NONE,
                    "Ready",
                    Reasons.READY),
            new Case(
                    "default was taken away",
                    ready().defaultIs("").pods(new Pod(NEW, "")),
                    new MakeDefault(),
                    "Reconciling",
                    Reasons.ROLLING_OUT),
            new Case("suspended", created().suspended(), NONE, "Suspended", Reasons.SUSPENDED));

    static final List<Case> DEFAULTS = List.of(
            new Case(
                    "another has the default",
                    rolledOut().defaultIs("s3dr").claim("s3dr", true, Duration.ofMinutes(-5)),
                    NONE,
                    "Stalled",
                    Reasons.DEFAULT_CONFLICT),
            new Case(
                    "an older one claims it too",
                    rolledOut().claim("s3dr", true, Duration.ofMinutes(5)),
                    NONE,
                    "Stalled",
                    Reasons.DEFAULT_CONFLICT),
            new Case(
                    "a younger one claims it too",
                    rolledOut().claim("s3dr", true, Duration.ofMinutes(-5)),
                    new MakeDefault(),
                    "Reconciling",
                    Reasons.ROLLING_OUT),
            new Case(
                    "one of the same age claims it too: the first by name has it",
                    rolledOut().claim("s3zz", true, Duration.ZERO),
                    new MakeDefault(),
                    "Reconciling",
                    Reasons.ROLLING_OUT),
            new Case(
                    "one of the same age, earlier by name",
                    rolledOut().claim("s3dr", true, Duration.ZERO),
                    NONE,
                    "Stalled",
                    Reasons.DEFAULT_CONFLICT),
            new Case(
                    "an older one claims it, but this one has it",
                    ready().claim("s3dr", true, Duration.ofMinutes(5)),
                    NONE,
                    "Ready",
                    Reasons.READY),
            new Case(
                    "another has it and doesn't want it any more: taken over in one write",
                    rolledOut().defaultIs("s3dr").claim("s3dr", false, Duration.ofMinutes(5)),
                    new MakeDefault(),
                    "Reconciling",
                    Reasons.ROLLING_OUT),
            new Case(
                    "not wanted any more", ready().notDefault(), new DropDefault(), "Reconciling", Reasons.ROLLING_OUT),
            new Case(
                    "not wanted any more, another takes over",
                    ready().notDefault().claim("s3dr", true, Duration.ZERO),
                    NONE,
                    "Reconciling",
                    Reasons.ROLLING_OUT),
            new Case(
                    "not wanted any more, a pod still has it",
                    rolledOut().notDefault().pods(new Pod(NEW, ""), new Pod(NEW, "s3main")),
                    NONE,
                    "Reconciling",
                    Reasons.ROLLING_OUT),
            new Case(
                    "not wanted, but somebody else set it so",
                    ready().notDefault().defaultSetBy("s3main", "helm"),
                    NONE,
                    "Ready",
                    Reasons.READY),
            new Case(
                    "somebody else set another default",
                    rolledOut().defaultSetBy("postgres", "helm"),
                    NONE,
                    "Stalled",
                    Reasons.FIELD_CONFLICT),
            new Case(
                    "somebody else set another default, to be taken over",
                    rolledOut().defaultSetBy("postgres", "helm").takeOwnership(),
                    new MakeDefault(),
                    "Reconciling",
                    Reasons.ROLLING_OUT));

    static final List<Case> GOING = List.of(
            new Case("never configured", created().deleted(), new Release(true), "Reconciling", Reasons.REMOVING),
            new Case(
                    "never configured, and the Deployment never was",
                    created().noWorkload().deleted(),
                    new Release(true),
                    "Reconciling",
                    Reasons.REMOVING),
            new Case(
                    "never configured as far as is known, but a pod has it",
                    created().pods(new Pod("", ""), new Pod(NEW, "")).deleted(),
                    new Probe(1, true),
                    "Reconciling",
                    Reasons.REMOVING),
            new Case(
                    "never configured as far as is known, but the template has it",
                    created().template(NEW).deleted(),
                    new Probe(1, true),
                    "Reconciling",
                    Reasons.REMOVING),
            new Case(
                    "it was in every pod once, and the rest is forgotten",
                    created().lastGood(NEW).deleted(),
                    new Probe(1, true),
                    "Reconciling",
                    Reasons.REMOVING),
            new Case(
                    "namespace terminates",
                    ready().deleted(new Deletion(false, true, Optional.empty(), List.of())),
                    new Release(false),
                    "Reconciling",
                    Reasons.REMOVING),
            new Case(
                    "to be orphaned",
                    ready().deleted(new Deletion(true, false, Optional.empty(), List.of())),
                    new Release(false),
                    "Reconciling",
                    Reasons.REMOVING),
            new Case(
                    "a migration uses it",
                    ready().deleted(new Deletion(false, false, Optional.empty(), List.of("pg-to-s3"))),
                    NONE,
                    "Reconciling",
                    Reasons.IN_USE),
            new Case("default first", ready().deleted(), new DropDefault(), "Reconciling", Reasons.REMOVING),
            new Case(
                    "default first, somebody else's",
                    ready().defaultSetBy("s3main", "helm").deleted(),
                    NONE,
                    "Stalled",
                    Reasons.FIELD_CONFLICT),
            new Case(
                    "a pod still has the default",
                    rolledOut().pods(new Pod(NEW, "s3main"), new Pod(NEW, "")).deleted(),
                    NONE,
                    "Reconciling",
                    Reasons.ROLLING_OUT),
            new Case("then count", rolledOut().deleted(), new Probe(2, true), "Reconciling", Reasons.REMOVING),
            new Case(
                    "counting", rolledOut().counted(JUST_NOW, RUNNING).deleted(), NONE, "Reconciling", Reasons.RUNNING),
            new Case("rows use it", rolledOut().counted(JUST_NOW, rows(7)).deleted(), NONE, "Stalled", Reasons.IN_USE),
            new Case(
                    "rows used it a minute ago",
                    rolledOut().counted(Duration.ofMinutes(1), rows(7)).deleted(),
                    new Probe(3, true),
                    "Reconciling",
                    Reasons.REMOVING),
            new Case(
                    "rows use it, forced with their number",
                    rolledOut()
                            .counted(JUST_NOW, rows(7))
                            .deleted(new Deletion(false, false, Optional.of("7"), List.of())),
                    new Remove(),
                    "Reconciling",
                    Reasons.REMOVING),
            new Case(
                    "rows use it, forced with another number",
                    rolledOut()
                            .counted(JUST_NOW, rows(7))
                            .deleted(new Deletion(false, false, Optional.of("6"), List.of())),
                    NONE,
                    "Stalled",
                    Reasons.IN_USE),
            new Case(
                    "rows use it, forced as if nobody knew",
                    rolledOut()
                            .counted(JUST_NOW, rows(7))
                            .deleted(new Deletion(false, false, Optional.of("unknown"), List.of())),
                    NONE,
                    "Stalled",
                    Reasons.IN_USE),
            new Case(
                    "database is down",
                    rolledOut()
                            .counted(
                                    JUST_NOW,
                                    report(ExitCode.RETRY, Reasons.DATABASE_UNREACHABLE, "no database", Map.of()))
                            .deleted(),
                    NONE,
                    "Reconciling",
                    Reasons.NOT_COUNTED),
            new Case(
                    "database is down, forced",
                    rolledOut()
                            .counted(
                                    JUST_NOW,
                                    report(ExitCode.RETRY, Reasons.DATABASE_UNREACHABLE, "no database", Map.of()))
                            .deleted(new Deletion(false, false, Optional.of("unknown"), List.of())),
                    new Remove(),
                    "Reconciling",
                    Reasons.REMOVING),
            new Case(
                    "no row uses it",
                    rolledOut().counted(JUST_NOW, rows(0)).deleted(),
                    new Remove(),
                    "Reconciling",
                    Reasons.REMOVING),
            new Case(
                    "no row uses it, entries are held by somebody else",
                    rolledOut().rival("argocd").counted(JUST_NOW, rows(0)).deleted(),
                    NONE,
                    "Stalled",
                    Reasons.FIELD_CONFLICT),
            new Case(
                    "entries are out, a pod still has them",
                    rolledOut().template("").removing().deleted(),
                    NONE,
                    "Reconciling",
                    Reasons.ROLLING_OUT),
            new Case(
                    "no pod has them",
                    rolledOut().template("").pods(new Pod("", "")).removing().deleted(),
                    new Release(true),
                    "Reconciling",
                    Reasons.REMOVING),
            new Case(
                    "somebody took the entries away, rows may use it",
                    rolledOut().template("").pods(new Pod("", "")).deleted(),
                    new Probe(2, true),
                    "Reconciling",
                    Reasons.REMOVING),
            new Case("Deployment is gone", ready().noWorkload().deleted(), NONE, "Stalled", Reasons.WORKLOAD_MISSING),
            new Case(
                    "Deployment is gone, forced",
                    ready().noWorkload().deleted(new Deletion(false, false, Optional.of("unknown"), List.of())),
                    new Release(true),
                    "Reconciling",
                    Reasons.REMOVING),
            new Case(
                    "suspended, and deleted all the same",
                    ready().suspended().deleted(),
                    new DropDefault(),
                    "Reconciling",
                    Reasons.REMOVING));

    static Stream<Case> cases() {
        return Stream.of(COMING, STAYING, DEFAULTS, GOING).flatMap(List::stream);
    }

    /** Every pod has the backend at another place than is wanted now, and none sends new blobs there. */
    private static BackendScene moved() {
        return rolledOut()
                .notDefault()
                .template(OLD)
                .applied(OLD)
                .pods(new Pod(OLD, ""), new Pod(OLD, ""))
                .at(ELSEWHERE)
                .noProbes();
    }

    @ParameterizedTest
    @MethodSource("cases")
    void decides(Case c) {
        BackendDecision decision = BackendDecision.decide(c.scene().facts());
        assertThat(decision.action()).isEqualTo(c.action());
        assertThat(decision.conditions())
                .filteredOn(condition -> condition.type().equals(c.state()))
                .singleElement()
                .satisfies(condition -> {
                    assertThat(condition.truth()).isEqualTo(Condition.Truth.TRUE);
                    assertThat(condition.reason()).isEqualTo(c.reason());
                });
        assertThat(decision.summary()).isEqualTo(c.reason());
    }

    @Test
    void whateverTheWorldIsLike() {
        RandomGenerator random = RandomGenerator.of("L64X128MixRandom");
        BackendScene.any(random, 20_000).forEach(facts -> {
            BackendDecision decision = BackendDecision.decide(facts);
            Map<String, Condition> conditions =
                    decision.conditions().stream().collect(Collectors.toMap(Condition::type, condition -> condition));
            String given = facts.toString();
            assertThat(conditions.get("Reconciling").isTrue()
                            && conditions.get("Stalled").isTrue())
                    .as("both Reconciling and Stalled: " + given)
                    .isFalse();
            assertThat(decision.next()).as(given).isBetween(Duration.ofMillis(10), Duration.ofMinutes(1));
            assertThat(conditions.values())
                    .as(given)
                    .allSatisfy(condition -> assertThat(condition.message()).doesNotContain("\n"));
            if (decision.action() instanceof MakeDefault) {
                assertThat(facts.workload())
                        .as("no default before every pod has the backend: " + given)
                        .isInstanceOfSatisfying(
                                BackendFacts.Workload.Live.class,
                                live -> assertThat(live.isRolledOut(NEW)).isTrue());
            }
            if (decision.action() instanceof Configure) {
                assertThat(conditions.get("StorageVerified").isTrue())
                        .as("nothing is rolled out before it was tried: " + given)
                        .isTrue();
            }
            if (decision.action() instanceof Configure
                    && facts.workload() instanceof BackendFacts.Workload.Live live
                    && live.location().filter(ELSEWHERE::equals).isPresent()) {
                assertThat(facts.probes())
                        .as("no row loses its bucket: " + given)
                        .anySatisfy(run -> {
                            assertThat(BackendProbes.rows(run)).hasValue(0);
                            assertThat(run.hash()).isEqualTo(NEW);
                            assertThat(run.workloadGeneration()).isEqualTo(live.generation());
                        });
            }
            if (facts.deletion().isEmpty()) {
                assertThat(decision.action())
                        .as("nothing is taken away without a deletion: " + given)
                        .isNotInstanceOfAny(Remove.class, Release.class);
            }
            assertThat(BackendDecision.decide(facts)).as("the same again").isEqualTo(decision);
        });
    }

    @Test
    void aReversalIsCountedOnceAndRemembered() {
        BackendDecision decision = BackendDecision.decide(
                rolledOut().template("").reversals(30, 601).facts());
        assertThat(decision.memory().reversals()).containsExactly(BackendScene.NOW.minusSeconds(30), BackendScene.NOW);
    }

    @Test
    void whatALostStatusWasToSayIsReadOffTheDeployment() {
        BackendFacts.Memory memory =
                BackendDecision.decide(ready().forgotten().facts()).memory();
        assertThat(memory.applied()).isEqualTo(NEW);
        assertThat(memory.defaultGiven()).isTrue();

        BackendScene keyIsGone = ready().forgotten()
                .noCredentials(Obstacle.waiting(Reasons.SECRET_MISSING, "no Secret"))
                .deleted();
        assertThat(BackendDecision.decide(keyIsGone.facts()).memory().applied()).isEqualTo(NEW);
    }

    @Test
    void entriesAndDefaultThatGoTogetherAreOneReversal() {
        BackendDecision decision =
                BackendDecision.decide(ready().template("").defaultIs("").facts());
        assertThat(decision.memory().reversals()).hasSize(1);
        assertThat(decision.memory().defaultGiven()).isFalse();
    }

    @Test
    void whatIsSaidNamesTheOtherAndTheFix() {
        assertThat(message(created().rival("helm"), "Ready"))
                .isEqualTo("BACKEND_S3MAIN in Deployment \"blobstore\" is set by \"helm\": remove it there, or set"
                        + " spec.workload.takeOwnership to true");
        assertThat(message(rolledOut().claim("s3dr", true, Duration.ofMinutes(5)), "Default"))
                .isEqualTo("BlobstoreBackend \"s3dr\" is the default of Deployment \"blobstore\": set spec.default to"
                        + " false on one of the two");
        assertThat(message(rolledOut().counted(JUST_NOW, rows(7)).deleted(), "Ready"))
                .isEqualTo("7 rows use backend \"s3main\": move them to another backend, or delete those blobs; to lose"
                        + " them, annotate this resource with blobstore.flynn.io/force-delete=7");
        assertThat(message(configured().recreate(), "Ready")).contains("strategy is Recreate");
        assertThat(message(moved().inUse(true), "Ready"))
                .startsWith("spec.s3.bucket is \"flynnblobstore\", the workload has \"other\"");
    }

    @Test
    void aDatabaseThatIsAwayIsSaidOfTheRowsAndNotOfTheStore() {
        StageReport report = new StageReport(
                Stage.PROBE,
                ExitCode.DONE,
                Reasons.PROBED,
                "every check passed",
                "",
                Map.of(),
                List.of(new StageReport.Finding(
                        StageReport.Level.WARNING,
                        StageReport.INVENTORY,
                        Reasons.DATABASE_UNREACHABLE,
                        "no answer at database")));
        BackendDecision decision = BackendDecision.decide(ready().inUse(true)
                .probed(NEW, JUST_NOW, new StageRun.Ended(report))
                .facts());
        assertThat(decision.conditions())
                .contains(Condition.isUnknown("InUse", Reasons.DATABASE_UNREACHABLE, "no answer at database"))
                .contains(Condition.isTrue("StorageVerified", Reasons.PROBED, "every check of the bucket passed"));
    }

    private static String message(BackendScene scene, String type) {
        return BackendDecision.decide(scene.facts()).conditions().stream()
                .filter(condition -> condition.type().equals(type))
                .findFirst()
                .orElseThrow()
                .message();
    }
}
