package io.flynn.blobstore.serve;

import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.store.postgres.ServedCatalog;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.io.Content;
import org.eclipse.jetty.server.Response;

/**
 * Whether this server may be sent requests, and whether its database answers. These are two things: a database that is away
 * for a moment is away for every server, and taking all of them out of the Service would help nobody. No external backend
 * counts for either. Thread-safe.
 */
final class Health {

    private enum State {
        STARTING,
        READY,
        DRAINING
    }

    private final ServedCatalog database;
    private volatile State state = State.STARTING;

    /** @param database through a connection of its own: when all others are in use, it still answers */
    Health(ServedCatalog database) {
        this.database = database;
    }

    void started() {
        state = State.READY;
    }

    void draining() {
        state = State.DRAINING;
    }

    boolean isReady() {
        return state == State.READY;
    }

    /** @throws Refusal while the schema has not been seen to be right */
    void requireStarted() {
        if (state == State.STARTING) {
            throw new Refusal(503, "starting: waiting for the database");
        }
    }

    void answer(boolean isReadiness, Response response) throws IOException {
        boolean isGood = isReadiness ? isReady() : isDatabaseAnswering();
        response.setStatus(isGood ? 200 : 503);
        if (!isGood) {
            response.getHeaders().put(HttpHeader.RETRY_AFTER, FailureAnswer.SOON.toSeconds());
        }
        response.getHeaders().put(HttpHeader.CONTENT_TYPE, "application/json");
        // The form that clients of the deployed servers' status know.
        String json = "{\"data\":{\"status\":\"" + (isGood ? "healthy" : "unhealthy") + "\"}}\n";
        Content.Sink.write(response, true, ByteBuffer.wrap(json.getBytes(StandardCharsets.UTF_8)));
    }

    private boolean isDatabaseAnswering() {
        try {
            database.ping();
            return true;
        } catch (StorageFailure e) {
            return false;
        }
    }
}
