package io.flynn.blobstore.serve;

import io.flynn.blobstore.decide.InvalidSettingException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * How one server listens, bounds what it does, and stops.
 *
 * @param port 0 = any free one
 * @param metricsPort 0 = any free one, negative = none
 * @param accessLog whether requests are logged
 * @param spool where uploads are gathered that memory has no room for; empty = they wait
 * @param storeConnections to each external backend at once
 * @param databaseConnections at most so many blobs go from or to the database at once
 * @param databaseWait for a connection that is free
 * @param drainDelay how long a server that was told to stop still takes new requests
 * @param drainGrace how long running requests may then take
 */
public record ServerSettings(
        int port,
        int metricsPort,
        boolean accessLog,
        Limits limits,
        Redirects redirects,
        Deletion deletion,
        Optional<Path> spool,
        int storeConnections,
        int databaseConnections,
        Duration databaseWait,
        Duration drainDelay,
        Duration drainGrace) {

    /**
     * What one client may take.
     *
     * @param connections of all clients together; more wait until one is closed
     * @param idleTimeout without a byte, either way
     * @param headerTimeout for all of a request's headers, from their first byte on
     * @param bytesPerSecondMin while the client is waited for, on average over an idle time-out; 0 = as slow as it likes
     * @param headerBytes request line and headers
     * @param blobBytes the largest blob that is taken
     */
    public record Limits(
            int connections,
            Duration idleTimeout,
            Duration headerTimeout,
            long bytesPerSecondMin,
            int headerBytes,
            long blobBytes) {}

    /**
     * How clients get blobs that are in external backends.
     *
     * @param enabled by a redirect to the store; else through this server
     * @param linkLifetime how long a redirect works once it was given out
     */
    public record Redirects(boolean enabled, Duration linkLifetime) {}

    /**
     * When the objects of replaced and deleted blobs go.
     *
     * @param after how long after the blob; longer than any link to it works
     * @param perSecond how many, at most
     */
    public record Deletion(Duration after, int perSecond) {}

    private static final int NO_METRICS = -1;

    private static final Setting<Integer> PORT =
            Setting.number("PORT", 8080, 0, 65_535, "where blobs are served; 0 = any free port");

    /** A port of its own, since a blob may be called /metrics. */
    private static final Setting<Integer> METRICS_PORT = Setting.number(
                    "BLOBSTORE_METRICS_PORT",
                    9_090,
                    0,
                    65_535,
                    "where /metrics (Prometheus), /healthz and /readyz are served; 0 = any free port, off = none")
            .or("off", NO_METRICS);

    private static final Setting<Boolean> ACCESS_LOG =
            Setting.flag("BLOBSTORE_ACCESS_LOG", true, "a line of JSON on standard output for each request");

    private static final Setting<Integer> CONNECTIONS = Setting.number(
            "BLOBSTORE_CONNECTIONS",
            4_096,
            1,
            100_000,
            "clients connected at once; more wait to be accepted, and connections that rest are closed for them after 5 s");

    private static final Setting<Duration> IDLE_TIMEOUT = Setting.duration(
            "BLOBSTORE_IDLE_TIMEOUT",
            "60s",
            Duration.ofMillis(100),
            Duration.ofHours(1),
            "a client that sends or takes no byte for so long is gone");

    private static final Setting<Duration> HEADER_TIMEOUT = Setting.duration(
            "BLOBSTORE_HEADER_TIMEOUT",
            "10s",
            Duration.ofMillis(100),
            Duration.ofHours(1),
            "for all of a request's headers, from their first byte on; then the connection is closed");

    /** A request of a slower client holds a connection to the database, or a buffer, for hours. */
    private static final Setting<Long> RATE_MIN = Setting.size(
            "BLOBSTORE_MIN_RATE",
            "1Ki",
            0,
            1L << 30,
            "bytes a second that a client has to send or take while it is waited for, on average over an idle time-out;"
                    + " 0 = as slow as it likes");

    private static final Setting<Long> BLOB_BYTES = Setting.size(
                    "BLOBSTORE_MAX_BLOB_SIZE", "none", 1, 1L << 53, "the largest blob that is taken; 413 beyond")
            .or("none", Long.MAX_VALUE);

    /** A name of 4 KiB, every byte of it percent-encoded, and room for the rest. */
    private static final Setting<Long> HEADER_BYTES = Setting.size(
            "BLOBSTORE_HEADER_SIZE",
            "16Ki",
            1 << 10,
            1 << 20,
            "bytes that a request's line and headers may have; 431 or 414 beyond");

    private static final Setting<Boolean> REDIRECT = Setting.flag(
            "BLOBSTORE_REDIRECT",
            true,
            "blobs in external backends are answered by a redirect to the store; false = they go through this server,"
                    + " for clients that can't reach the store");

    private static final Setting<Duration> LINK_LIFETIME = Setting.duration(
            "BLOBSTORE_LINK_LIFETIME",
            "10m",
            Duration.ofSeconds(1),
            // Of a presigned URL (Amazon S3 User Guide, "Sharing objects with presigned URLs").
            Duration.ofDays(7),
            "a redirect to the store works for so long");

    /** A clock that is wrong, and a download that began with the link's last second. */
    private static final Duration LINKS_MARGIN = Duration.ofMinutes(5);

    private static final Setting<Duration> DELETE_AFTER = Setting.duration(
            "BLOBSTORE_DELETE_AFTER",
            "15m",
            LINKS_MARGIN,
            Duration.ofDays(365),
            "objects of replaced and deleted blobs are deleted so long after them; never less than BLOBSTORE_LINK_LIFETIME and five"
                    + " minutes, longer to be able to go back to a backup of the database");

    private static final Setting<Integer> DELETES_PER_SECOND = Setting.number(
            "BLOBSTORE_DELETES_PER_SECOND", 50, 1, 1_000, "objects that this server deletes in a second, at most");

    /** A part of an upload is gathered whole before it is sent; S3 wants at least 5 MiB, and clients may be slow. */
    private static final Setting<Optional<Path>> SPOOL = Setting.directory(
                    "BLOBSTORE_SPOOL_DIR",
                    "/tmp",
                    "where uploads to external backends are gathered, up to 16 MiB each, once together they take a quarter of the"
                            + " heap; off = then they wait for memory")
            .or("off", Optional.empty());

    /** Uploads are bounded by memory, and downloads go by the store's own links unless they are streamed. */
    private static final Setting<Integer> STORE_CONNECTIONS = Setting.number(
            "BLOBSTORE_STORE_CONNECTIONS",
            256,
            1,
            10_000,
            "connections to each external backend: its uploads at once, and without redirects its downloads; who finds none free"
                    + " for 5 s is told 503 with Retry-After");

    private static final Setting<Integer> DATABASE_CONNECTIONS = Setting.number(
            "BLOBSTORE_DATABASE_CONNECTIONS",
            16,
            1,
            1_000,
            "blobs that go from or to the database at once, each through a connection of its own; the database's"
                    + " max_connections must allow these and one more for each server");

    /** Long enough for a burst of small blobs; who waits longer waits for large ones, and is better told so at once. */
    private static final Setting<Duration> DATABASE_WAIT = Setting.duration(
            "BLOBSTORE_DATABASE_WAIT",
            "2s",
            // Of HikariCP.
            Duration.ofMillis(250),
            Duration.ofMinutes(1),
            "for a connection that is free, and again while more of them are made, for some 30s; then the answer is 503 with"
                    + " Retry-After");

    private static final Setting<Duration> DRAIN_DELAY = Setting.duration(
            "BLOBSTORE_DRAIN_DELAY",
            "5s",
            Duration.ZERO,
            Duration.ofMinutes(10),
            "a server that was told to stop still takes new requests for so long: until everybody knows that it isn't"
                    + " ready any more");

    private static final Setting<Duration> DRAIN_GRACE = Setting.duration(
            "BLOBSTORE_DRAIN_GRACE",
            "20s",
            Duration.ZERO,
            Duration.ofHours(1),
            "that requests which run may then take; with the delay less than the pod's termination grace period");

    /** Every variable that {@link #decode} reads, in the order in which to explain them. */
    public static final List<Setting<?>> ALL = List.of(
            PORT,
            METRICS_PORT,
            ACCESS_LOG,
            CONNECTIONS,
            IDLE_TIMEOUT,
            HEADER_TIMEOUT,
            RATE_MIN,
            HEADER_BYTES,
            BLOB_BYTES,
            REDIRECT,
            LINK_LIFETIME,
            DELETE_AFTER,
            DELETES_PER_SECOND,
            SPOOL,
            STORE_CONNECTIONS,
            DATABASE_CONNECTIONS,
            DATABASE_WAIT,
            DRAIN_DELAY,
            DRAIN_GRACE);

    /** @throws InvalidSettingException if a variable holds what it can't mean; it names the variable */
    public static ServerSettings decode(Map<String, String> environment) {
        return new ServerSettings(
                PORT.in(environment),
                METRICS_PORT.in(environment),
                ACCESS_LOG.in(environment),
                new Limits(
                        CONNECTIONS.in(environment),
                        IDLE_TIMEOUT.in(environment),
                        HEADER_TIMEOUT.in(environment),
                        RATE_MIN.in(environment),
                        Math.toIntExact(HEADER_BYTES.in(environment)),
                        BLOB_BYTES.in(environment)),
                new Redirects(REDIRECT.in(environment), LINK_LIFETIME.in(environment)),
                new Deletion(deleteAfter(environment), DELETES_PER_SECOND.in(environment)),
                SPOOL.in(environment),
                STORE_CONNECTIONS.in(environment),
                DATABASE_CONNECTIONS.in(environment),
                DATABASE_WAIT.in(environment),
                DRAIN_DELAY.in(environment),
                DRAIN_GRACE.in(environment));
    }

    private static Duration deleteAfter(Map<String, String> environment) {
        Duration after = DELETE_AFTER.in(environment);
        Duration least = LINK_LIFETIME.in(environment).plus(LINKS_MARGIN);
        if (after.compareTo(least) < 0) {
            if (environment.getOrDefault(DELETE_AFTER.variable(), "").isEmpty()) {
                return least;
            }
            throw new InvalidSettingException(
                    DELETE_AFTER.variable(),
                    "is %d s, but links to a blob may work for %d s, and five minutes more by clocks that differ: use %ds or more"
                            .formatted(
                                    after.toSeconds(),
                                    LINK_LIFETIME.in(environment).toSeconds(),
                                    least.toSeconds()));
        }
        return after;
    }
}
