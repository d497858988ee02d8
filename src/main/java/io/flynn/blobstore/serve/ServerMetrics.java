package io.flynn.blobstore.serve;

import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tags;
import io.micrometer.core.instrument.Timer;
import java.time.Duration;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;

/**
 * What Prometheus learns about requests. Labels have few values, whatever clients send and rows hold: a method that isn't served
 * is {@code other}, a backend that isn't configured is {@code unknown}, and no path is ever one. Thread-safe.
 */
final class ServerMetrics {

    private static final Set<String> METHODS = Set.of("GET", "HEAD", "PUT", "DELETE");

    /** From a row's lookup to a gigabyte on its way to a slow client. */
    private static final Duration[] BUCKETS = Stream.of(
                    1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000)
            .map(Duration::ofMillis)
            .toArray(Duration[]::new);

    private final MeterRegistry registry;
    private final Set<String> backends;

    /** To look them up by their names costs more than to count. */
    private final Map<Labels, Meters> meters = new ConcurrentHashMap<>();

    private record Labels(String method, String backend, int status) {}

    private record Meters(Timer duration, Counter received, Counter sent) {}

    /** @param backends the names of those that can be used */
    ServerMetrics(MeterRegistry registry, Set<String> backends, InFlight inFlight) {
        this.registry = registry;
        this.backends = backends;
        Gauge.builder("blobstore.http.requests.in.flight", inFlight, InFlight::count)
                .description("Requests that run")
                .register(registry);
    }

    void ended(RequestFacts facts, Request request, Response response) {
        Meters those = meters.computeIfAbsent(
                new Labels(method(request), backend(facts), facts.status(response.getStatus())), this::meters);
        those.duration().record(System.nanoTime() - request.getBeginNanoTime(), TimeUnit.NANOSECONDS);
        those.received().increment((double) Request.getContentBytesRead(request));
        those.sent().increment((double) Response.getContentBytesWritten(response));
    }

    private Meters meters(Labels labels) {
        Tags which = Tags.of(
                "method", labels.method(), "backend", labels.backend(), "status", Integer.toString(labels.status()));
        return new Meters(
                Timer.builder("blobstore.http.request.duration")
                        .description(
                                "Requests, from their first byte to the last one of their answer; status 499: the client broke off")
                        .tags(which)
                        .serviceLevelObjectives(BUCKETS)
                        .register(registry),
                bytes("blobstore.http.received", "Bytes of requests' bodies", which),
                bytes("blobstore.http.sent", "Bytes of answers' bodies", which));
    }

    /** @param backend whose failure it is */
    void failed(String backend, String reason) {
        Counter.builder("blobstore.failures")
                .description("Requests that failed because the database or a store did")
                .tags("backend", known(backend), "reason", reason)
                .register(registry)
                .increment();
    }

    private Counter bytes(String name, String description, Tags which) {
        return Counter.builder(name)
                .description(description)
                .baseUnit("bytes")
                .tags(which)
                .register(registry);
    }

    private static String method(Request request) {
        return METHODS.contains(request.getMethod()) ? request.getMethod() : "other";
    }

    private String backend(RequestFacts facts) {
        return facts.backend().equals(RequestFacts.NO_BACKEND) ? RequestFacts.NO_BACKEND : known(facts.backend());
    }

    private String known(String backend) {
        return backends.contains(backend) ? backend : "unknown";
    }
}
