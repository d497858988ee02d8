package io.flynn.blobstore.serve;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.util.JsonRecyclerPools;
import java.io.IOException;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.time.InstantSource;
import java.time.temporal.ChronoUnit;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;

/**
 * One JSON object for each request, once it has ended. Of what was sent it holds the method and the path, never the query, which
 * may be a signature, and no header but the request's id. Thread-safe.
 */
final class AccessLog {

    /** Buffers of each thread would be buffers of each request. */
    private static final JsonFactory JSON = JsonFactory.builder()
            .recyclerPool(JsonRecyclerPools.newConcurrentDequePool())
            .build();

    private final InstantSource clock;
    private final Optional<Consumer<String>> lines;

    /** @param lines takes a line without blocking; empty = there is no log */
    AccessLog(InstantSource clock, Optional<Consumer<String>> lines) {
        this.clock = clock;
        this.lines = lines;
    }

    void ended(RequestFacts facts, Request request, Response response) {
        lines.ifPresent(log -> log.accept(line(facts, request, response)));
    }

    private String line(RequestFacts facts, Request request, Response response) {
        StringWriter line = new StringWriter();
        try (JsonGenerator json = JSON.createGenerator(line)) {
            json.writeStartObject();
            json.writeStringField(
                    "time", clock.instant().truncatedTo(ChronoUnit.MILLIS).toString());
            json.writeStringField("id", facts.id());
            json.writeStringField("client", Request.getRemoteAddr(request));
            json.writeStringField("method", request.getMethod());
            json.writeStringField("path", request.getHttpURI().getPath());
            json.writeNumberField("status", facts.status(response.getStatus()));
            json.writeNumberField("received", Request.getContentBytesRead(request));
            json.writeNumberField("sent", Response.getContentBytesWritten(response));
            json.writeNumberField(
                    "millis", TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - request.getBeginNanoTime()));
            json.writeStringField("backend", facts.backend());
            if (facts.failure().isPresent()) {
                json.writeStringField("failure", facts.failure().get());
            }
            json.writeEndObject();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return line.toString();
    }
}
