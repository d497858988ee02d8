package io.flynn.blobstore.serve;

import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tags;
import io.micrometer.core.instrument.Timer;
import java.time.Duration;
import java.util.Set;
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

    /** @param backends the names of those that can be used */
    ServerMetrics(MeterRegistry registry, Set<String> backends, InFlight inFlight) {
        this.registry = registry;
        this.backends = backends;
        Gauge.builder("blobstore.http.requests.in.flight", inFlight, InFlight::count)
                .description("Requests that run")
                .register(registry);
    }

    void ended(RequestFacts facts, Request request, Response response) {
        Tags which = Tags.of("method", method(request), "backend", backend(facts));
        Timer.builder("blobstore.http.request.duration")
                .description(
                        "Requests, from their first byte to the last one of their answer; status 499: the client broke off")
                .tags(which.and("status", Integer.toString(facts.status(response.getStatus()))))
                .serviceLevelObjectives(BUCKETS)
                .register(registry)
                .record(System.nanoTime() - request.getBeginNanoTime(), TimeUnit.NANOSECONDS);
        count("blobstore.http.received", "Bytes of requests' bodies", which, Request.getContentBytesRead(request));
        count("blobstore.http.sent", "Bytes of answers' bodies", which, Response.getContentBytesWritten(response));
    }

    /** @param backend whose failure it is */
    void failed(String backend, String reason) {
        Counter.builder("blobstore.failures")
                .description("Requests that failed because the database or a store did")
                .tags("backend", known(backend), "reason", reason)
                .register(registry)
                .increment();
    }

    private void count(String name, String description, Tags which, long bytes) {
        Counter.builder(name)
                .description(description)
                .baseUnit("bytes")
                .tags(which)
                .register(registry)
                .increment((double) bytes);
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
