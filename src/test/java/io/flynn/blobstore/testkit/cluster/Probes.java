package io.flynn.blobstore.testkit.cluster;

import io.fabric8.kubernetes.api.model.Container;
import io.fabric8.kubernetes.api.model.ContainerPort;
import io.fabric8.kubernetes.api.model.HTTPHeader;
import io.fabric8.kubernetes.api.model.IntOrString;
import io.fabric8.kubernetes.api.model.Probe;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;

/** Asks a container whether it is ready or alive, as its probe says, at the port that it really has. */
final class Probes {

    private final HttpClient http = HttpClient.newHttpClient();

    /** Whether {@code container} has only probes that are carried out here. */
    static void check(Container container) throws ContainerWaits {
        if (container.getStartupProbe() != null) {
            throw ContainerWaits.notImplemented("startup probes");
        }
        for (Probe probe : new Probe[] {container.getReadinessProbe(), container.getLivenessProbe()}) {
            if (probe != null && probe.getHttpGet() == null && probe.getTcpSocket() == null) {
                throw ContainerWaits.notImplemented("probes other than httpGet and tcpSocket");
            }
            if (probe != null && container.getPorts().isEmpty()) {
                throw ContainerWaits.notImplemented("probes of a container that declares no port");
            }
        }
    }

    /** @param port where the container listens instead of the port that it declares */
    boolean succeeds(Probe probe, Container container, int port) throws InterruptedException {
        Duration timeout = Duration.ofSeconds(probe.getTimeoutSeconds());
        try {
            if (probe.getHttpGet() == null) {
                try (Socket socket = new Socket()) {
                    socket.connect(
                            new InetSocketAddress(
                                    LocalNode.ADDRESS,
                                    local(probe.getTcpSocket().getPort(), container, port)),
                            (int) timeout.toMillis());
                    return true;
                }
            }
            HttpRequest.Builder request = HttpRequest.newBuilder(URI.create("http://%s:%d%s"
                            .formatted(
                                    LocalNode.ADDRESS,
                                    local(probe.getHttpGet().getPort(), container, port),
                                    probe.getHttpGet().getPath())))
                    .timeout(timeout);
            for (HTTPHeader header : probe.getHttpGet().getHttpHeaders()) {
                request.header(header.getName(), header.getValue());
            }
            int status = http.send(request.build(), HttpResponse.BodyHandlers.discarding())
                    .statusCode();
            return status >= 200 && status < 400;
        } catch (IOException notYet) {
            return false;
        }
    }

    /** A declared port is mapped; another is taken as it is, and probably nobody listens there. */
    private static int local(IntOrString wanted, Container container, int port) {
        for (ContainerPort declared : container.getPorts()) {
            if (declared.getContainerPort().equals(wanted.getIntVal())
                    || (wanted.getStrVal() != null && wanted.getStrVal().equals(declared.getName()))) {
                return port;
            }
        }
        return wanted.getIntVal() == null ? 0 : wanted.getIntVal();
    }
}
