package io.flynn.blobstore.serve;

import io.flynn.blobstore.serve.ServerSettings.Limits;
import java.nio.channels.SelectionKey;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import org.eclipse.jetty.io.EndPoint;
import org.eclipse.jetty.io.ManagedSelector;
import org.eclipse.jetty.io.SocketChannelEndPoint;
import org.eclipse.jetty.server.ConnectionFactory;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;

/**
 * Listens, and ends the connections of clients that are too slow; and, while as many are connected as may be, of those that rest
 * between requests, since others wait to be accepted.
 */
final class PacedConnector extends ServerConnector {

    /** How often clients are looked at: time-outs are of seconds. */
    private static final Duration INTERVAL = Duration.ofMillis(500);

    /** Longer than a busy client's pause between two requests; less than others should wait. */
    private static final Duration REST = Duration.ofSeconds(5);

    private final Limits limits;

    PacedConnector(Server server, Limits limits, ConnectionFactory http) {
        super(server, 1, 1, http);
        this.limits = limits;
        setIdleTimeout(limits.idleTimeout().toMillis());
        // Jetty's own 1 s would break off uploads that pause while others are waited for.
        setShutdownIdleTimeout(limits.idleTimeout().toMillis());
    }

    @Override
    protected SocketChannelEndPoint newEndPoint(SocketChannel channel, ManagedSelector selector, SelectionKey key) {
        PacedEndPoint endPoint = new PacedEndPoint(channel, selector, key, getScheduler());
        endPoint.setIdleTimeout(getIdleTimeout());
        return endPoint;
    }

    @Override
    protected void doStart() throws Exception {
        super.doStart();
        lookAgain(System.nanoTime());
    }

    private void lookAgain(long lastLook) {
        getScheduler().schedule(() -> look(lastLook), INTERVAL.toMillis(), TimeUnit.MILLISECONDS);
    }

    private void look(long lastLook) {
        if (!isRunning()) {
            return;
        }
        long now = System.nanoTime();
        // A machine that slept or paused is not the clients' fault.
        Duration passed = Duration.ofNanos(Math.min(now - lastLook, 2 * INTERVAL.toNanos()));
        boolean isFull = getConnectedEndPoints().size() >= limits.connections();
        for (EndPoint endPoint : getConnectedEndPoints()) {
            if (endPoint instanceof PacedEndPoint paced) {
                paced.look(passed, limits);
                if (isFull && paced.rested().compareTo(REST) >= 0) {
                    paced.giveWay();
                }
            }
        }
        lookAgain(now);
    }
}
