package io.flynn.blobstore.decide;

import io.flynn.blobstore.decide.BackendFacts.Claim;
import io.flynn.blobstore.decide.BackendFacts.Credentials;
import io.flynn.blobstore.decide.BackendFacts.Deletion;
import io.flynn.blobstore.decide.BackendFacts.Location;
import io.flynn.blobstore.decide.BackendFacts.Memory;
import io.flynn.blobstore.decide.BackendFacts.Pod;
import io.flynn.blobstore.decide.BackendFacts.ProbeRun;
import io.flynn.blobstore.decide.BackendFacts.Rival;
import io.flynn.blobstore.decide.BackendFacts.Wanted;
import io.flynn.blobstore.decide.BackendFacts.Workload;
import io.flynn.blobstore.decide.StageReport.Figure;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * Facts of a backend {@code s3main}, from "just created, all is there" on: each method changes one thing. The configuration that
 * is wanted has the hash {@value #NEW}, an earlier one {@value #OLD}.
 */
final class BackendScene {

    static final String NEW = "aaaaaaaaaa";
    static final String OLD = "bbbbbbbbbb";
    static final Instant NOW = Instant.parse("2026-01-01T12:00:00Z");
    static final Location HERE = new Location("flynnblobstore", "eu-central-1", "");
    static final Location ELSEWHERE = new Location("other", "eu-central-1", "");

    private Optional<Obstacle> problem = Optional.empty();
    private boolean isDefault = true;
    private boolean takeOwnership;
    private boolean suspended;
    private Credentials credentials = new Credentials.Present(NEW);
    private boolean missing;
    private Optional<Obstacle> unclear = Optional.empty();
    private boolean observed = true;
    private boolean available = true;
    private boolean paused;
    private boolean recreate;
    private Optional<String> stuck = Optional.empty();
    private String hash = "";
    private boolean complete = true;
    private Location location = HERE;
    private long generation = 1;
    private String defaultBackend = "";
    private boolean defaultIsOurs = true;
    private List<Rival> rivals = List.of();
    private Optional<Rival> defaultRival = Optional.empty();
    private List<Pod> pods = List.of(new Pod("", ""), new Pod("", ""));
    private final List<ProbeRun> probes = new ArrayList<>();
    private final List<Claim> claims = new ArrayList<>();
    private String applied = "";
    private String lastGood = "";
    private boolean defaultGiven;
    private boolean verified;
    private Optional<Boolean> inUse = Optional.empty();
    private List<Instant> reversals = List.of();
    private boolean flapping;
    private boolean removing;
    private Optional<Deletion> deletion = Optional.empty();

    static BackendScene created() {
        return new BackendScene();
    }

    /** Probed, and the Deployment has the entries; its pods are as they were. */
    static BackendScene configured() {
        return created().passed(NEW).template(NEW).applied(NEW);
    }

    /** Every pod has the backend. */
    static BackendScene rolledOut() {
        return configured().pods(new Pod(NEW, ""), new Pod(NEW, "")).lastGood(NEW);
    }

    /** Every pod has it as its default. */
    static BackendScene ready() {
        return rolledOut()
                .defaultIs("s3main")
                .pods(new Pod(NEW, "s3main"), new Pod(NEW, "s3main"))
                .defaultGiven();
    }

    BackendScene problem(Obstacle obstacle) {
        problem = Optional.of(obstacle);
        return this;
    }

    BackendScene notDefault() {
        isDefault = false;
        return this;
    }

    BackendScene takeOwnership() {
        takeOwnership = true;
        return this;
    }

    BackendScene suspended() {
        suspended = true;
        return this;
    }

    BackendScene noCredentials(Obstacle obstacle) {
        credentials = new Credentials.Unavailable(obstacle);
        return this;
    }

    BackendScene noWorkload() {
        missing = true;
        return this;
    }

    BackendScene unclear() {
        unclear = Optional.of(Obstacle.person(Reasons.CONTAINER_AMBIGUOUS, "two containers"));
        return this;
    }

    BackendScene unobserved() {
        observed = false;
        return this;
    }

    BackendScene unavailable() {
        available = false;
        return this;
    }

    BackendScene paused() {
        paused = true;
        return this;
    }

    BackendScene recreate() {
        recreate = true;
        return this;
    }

    BackendScene stuck() {
        stuck = Optional.of("ReplicaSet \"blobstore-1\" has timed out progressing");
        return this;
    }

    BackendScene template(String value) {
        hash = value;
        return this;
    }

    BackendScene incomplete() {
        complete = false;
        return this;
    }

    BackendScene at(Location value) {
        location = value;
        return this;
    }

    /** Somebody changed the Deployment since its last probes were made. */
    BackendScene rolledAgain() {
        generation++;
        return this;
    }

    BackendScene defaultIs(String backend) {
        defaultBackend = backend;
        return this;
    }

    BackendScene defaultSetBy(String backend, String manager) {
        defaultBackend = backend;
        defaultIsOurs = false;
        defaultRival = Optional.of(new Rival("DEFAULT_BACKEND", manager));
        return this;
    }

    BackendScene rival(String manager) {
        rivals = List.of(new Rival("BACKEND_S3MAIN", manager));
        return this;
    }

    BackendScene pods(Pod... value) {
        pods = List.of(value);
        return this;
    }

    BackendScene passed(String tried) {
        return probed(
                tried,
                Duration.ofMinutes(2),
                report(ExitCode.DONE, Reasons.PROBED, "all checks passed", Map.of(Figure.BLOBS, 0L)));
    }

    BackendScene probed(String tried, Duration ago, StageRun run) {
        probes.add(new ProbeRun(probes.size() + 1, false, tried, generation, run, NOW.minus(ago)));
        return this;
    }

    BackendScene counted(Duration ago, StageRun run) {
        return counted(NEW, ago, run);
    }

    BackendScene counted(String wanted, Duration ago, StageRun run) {
        probes.add(new ProbeRun(probes.size() + 1, true, wanted, generation, run, NOW.minus(ago)));
        return this;
    }

    BackendScene noProbes() {
        probes.clear();
        return this;
    }

    static StageRun report(ExitCode outcome, String reason, String message, Map<Figure, Long> figures) {
        return new StageRun.Ended(new StageReport(Stage.PROBE, outcome, reason, message, "", figures, List.of()));
    }

    static StageRun rows(long references) {
        return report(ExitCode.DONE, Reasons.DONE, "counted", Map.of(Figure.BLOBS, references));
    }

    BackendScene claim(String other, boolean wantsDefault, Duration older) {
        claims.add(new Claim(
                other, other, wantsDefault, NOW.minus(Duration.ofHours(1)).minus(older)));
        return this;
    }

    BackendScene applied(String value) {
        applied = value;
        return this;
    }

    BackendScene lastGood(String value) {
        lastGood = value;
        return this;
    }

    BackendScene defaultGiven() {
        defaultGiven = true;
        return this;
    }

    /** No status says what was done. */
    BackendScene forgotten() {
        applied = "";
        lastGood = "";
        defaultGiven = false;
        return this;
    }

    BackendScene verified() {
        verified = true;
        return this;
    }

    BackendScene inUse(boolean value) {
        inUse = Optional.of(value);
        return this;
    }

    BackendScene reversals(int... secondsAgo) {
        reversals =
                java.util.Arrays.stream(secondsAgo).mapToObj(NOW::minusSeconds).toList();
        return this;
    }

    BackendScene flapping() {
        flapping = true;
        return this;
    }

    BackendScene removing() {
        removing = true;
        return this;
    }

    BackendScene deleted() {
        deletion = Optional.of(new Deletion(false, false, Optional.empty(), List.of()));
        return this;
    }

    BackendScene deleted(Deletion value) {
        deletion = Optional.of(value);
        return this;
    }

    BackendFacts facts() {
        Workload workload = missing
                ? new Workload.Missing()
                : new Workload.Live(
                        unclear,
                        generation,
                        pods.size(),
                        observed,
                        available,
                        paused,
                        recreate,
                        stuck,
                        hash,
                        complete && !hash.isEmpty(),
                        hash.isEmpty() && applied.isEmpty() ? Optional.empty() : Optional.of(location),
                        defaultBackend,
                        defaultIsOurs && !defaultBackend.isEmpty(),
                        rivals,
                        defaultRival,
                        pods);
        return new BackendFacts(
                new Wanted(
                        "s3main",
                        "s3main",
                        "blobstore",
                        problem,
                        HERE,
                        isDefault,
                        Duration.ofMinutes(15),
                        takeOwnership,
                        suspended,
                        NOW.minus(Duration.ofHours(1))),
                credentials,
                workload,
                probes,
                claims,
                new Memory(applied, lastGood, defaultGiven, verified, inUse, reversals, flapping, removing),
                deletion,
                NOW);
    }

    /** Every combination of what may be true at once, for properties that hold whatever the world is like. */
    static Stream<BackendFacts> any(java.util.random.RandomGenerator random, int count) {
        return Stream.generate(() -> arbitrary(random)).limit(count);
    }

    private static BackendFacts arbitrary(java.util.random.RandomGenerator random) {
        List<java.util.function.UnaryOperator<BackendScene>> changes = new ArrayList<>(List.of(
                scene -> scene.problem(Obstacle.person(Reasons.SPEC_INVALID, "bad")),
                BackendScene::notDefault,
                BackendScene::takeOwnership,
                BackendScene::suspended,
                scene -> scene.noCredentials(Obstacle.waiting(Reasons.SECRET_MISSING, "no Secret")),
                BackendScene::noWorkload,
                BackendScene::unclear,
                BackendScene::unobserved,
                BackendScene::unavailable,
                BackendScene::paused,
                BackendScene::stuck,
                BackendScene::incomplete,
                scene -> scene.template(""),
                scene -> scene.template(OLD),
                scene -> scene.template(NEW),
                scene -> scene.at(ELSEWHERE),
                BackendScene::rolledAgain,
                scene -> scene.defaultIs("s3main"),
                scene -> scene.defaultSetBy("postgres", "helm"),
                scene -> scene.rival("helm"),
                scene -> scene.pods(new Pod(NEW, "s3main"), new Pod(OLD, "")),
                BackendScene::noProbes,
                scene -> scene.passed(NEW),
                scene -> scene.probed(NEW, Duration.ofMinutes(3), new StageRun.Lost("gone")),
                scene -> scene.probed(NEW, Duration.ZERO, new StageRun.Running(Reasons.RUNNING, "running")),
                scene -> scene.probed(
                        NEW, Duration.ofMinutes(1), report(ExitCode.FAILED, Reasons.ACCESS_DENIED, "denied", Map.of())),
                scene -> scene.counted(Duration.ofSeconds(5), rows(7)),
                scene -> scene.counted(Duration.ofSeconds(5), rows(0)),
                scene -> scene.claim("other", true, Duration.ofHours(1)),
                scene -> scene.applied(NEW),
                scene -> scene.lastGood(NEW),
                BackendScene::defaultGiven,
                BackendScene::verified,
                scene -> scene.reversals(1, 2, 3),
                BackendScene::flapping,
                BackendScene::removing,
                BackendScene::deleted,
                scene -> scene.deleted(new Deletion(true, false, Optional.empty(), List.of())),
                scene -> scene.deleted(new Deletion(false, true, Optional.empty(), List.of())),
                scene -> scene.deleted(new Deletion(false, false, Optional.of("unknown"), List.of())),
                scene -> scene.deleted(new Deletion(false, false, Optional.of("7"), List.of("move")))));
        Collections.shuffle(changes, java.util.Random.from(random));
        List<BackendScene> starts = List.of(created(), configured(), rolledOut(), ready());
        BackendScene scene = starts.get(random.nextInt(starts.size()));
        for (java.util.function.UnaryOperator<BackendScene> change : changes.subList(0, random.nextInt(6))) {
            change.apply(scene);
        }
        return scene.facts();
    }
}
