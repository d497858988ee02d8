package io.flynn.blobstore.serve;

import io.flynn.blobstore.serve.ServerSettings.Limits;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.LongAdder;
import org.eclipse.jetty.io.EndPoint;
import org.eclipse.jetty.io.ManagedSelector;
import org.eclipse.jetty.io.SocketChannelEndPoint;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.util.thread.Scheduler;

/**
 * A client's connection that knows for how long the client was waited for, and what came of it. An idle time-out alone never
 * ends a client that sends or takes a byte now and then. Time that the server takes itself doesn't count.
 */
final class PacedEndPoint extends SocketChannelEndPoint {

    private final LongAdder moved = new LongAdder();
    private volatile boolean isInRequest;
    private volatile long movedBetweenRequests;

    // Of whoever looks.
    private boolean isHeaderSeen;
    private Duration headerAge = Duration.ZERO;
    private Duration rested = Duration.ZERO;
    private Duration waited = Duration.ZERO;
    private long movedBefore;

    PacedEndPoint(SocketChannel channel, ManagedSelector selector, SelectionKey key, Scheduler scheduler) {
        super(channel, selector, key, scheduler);
    }

    /** The request's headers are there, and it runs. */
    static void began(Request request) {
        EndPoint endPoint = request.getConnectionMetaData().getConnection().getEndPoint();
        if (endPoint instanceof PacedEndPoint paced) {
            paced.isInRequest = true;
        }
    }

    /** The request has been answered. */
    static void ended(Request request) {
        EndPoint endPoint = request.getConnectionMetaData().getConnection().getEndPoint();
        if (endPoint instanceof PacedEndPoint paced) {
            paced.movedBetweenRequests = paced.moved.sum();
            paced.isInRequest = false;
        }
    }

    @Override
    public int fill(ByteBuffer buffer) throws IOException {
        int filled = super.fill(buffer);
        if (filled > 0) {
            moved.add(filled);
        }
        return filled;
    }

    @Override
    public boolean flush(ByteBuffer... buffers) throws IOException {
        long before = remaining(buffers);
        try {
            return super.flush(buffers);
        } finally {
            moved.add(before - remaining(buffers));
        }
    }

    private static long remaining(ByteBuffer... buffers) {
        long remaining = 0;
        for (ByteBuffer buffer : buffers) {
            remaining += buffer.remaining();
        }
        return remaining;
    }

    /**
     * Closes the connection of a client that is too slow. To be called from one thread at a time.
     *
     * @param passed since the last look
     */
    void look(Duration passed, Limits limits) {
        if (isInRequest) {
            isHeaderSeen = false;
            rested = Duration.ZERO;
            lookAtRequest(passed, limits);
        } else {
            waited = Duration.ZERO;
            lookAtHeader(passed, limits);
        }
    }

    /** For how long, at the last look, nothing of a request had come. */
    Duration rested() {
        return rested;
    }

    /** Closes the connection, on which nothing happens, for the sake of others. */
    void giveWay() {
        close(new TimeoutException("others wait to be connected"));
    }

    private void lookAtHeader(Duration passed, Limits limits) {
        if (moved.sum() == movedBetweenRequests) {
            isHeaderSeen = false;
            rested = rested.plus(passed);
            return;
        }
        rested = Duration.ZERO;
        // Its first byte may have come just now.
        headerAge = isHeaderSeen ? headerAge.plus(passed) : Duration.ZERO;
        isHeaderSeen = true;
        if (headerAge.compareTo(limits.headerTimeout()) > 0) {
            close(new TimeoutException("the request's headers did not come in time"));
        }
    }

    private void lookAtRequest(Duration passed, Limits limits) {
        if (waited.isZero()) {
            movedBefore = moved.sum();
        }
        if (isFillInterested() || getWriteFlusher().isPending()) {
            waited = waited.plus(passed);
        }
        if (waited.compareTo(limits.idleTimeout()) >= 0) {
            if (moved.sum() - movedBefore < limits.bytesPerSecondMin() * waited.toMillis() / 1_000) {
                close(new TimeoutException("the client is too slow"));
            }
            waited = Duration.ZERO;
        }
    }
}
