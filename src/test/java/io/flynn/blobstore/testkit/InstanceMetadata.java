package io.flynn.blobstore.testkit;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import software.amazon.awssdk.core.SdkSystemSetting;

/**
 * What an EC2 instance asks for its role's key, version 2 (Amazon EC2 User Guide, "Use the Instance Metadata Service"): nothing
 * without a token. The SDK of this process asks here while it is open.
 */
public final class InstanceMetadata implements AutoCloseable {

    private static final String ENDPOINT = SdkSystemSetting.AWS_EC2_METADATA_SERVICE_ENDPOINT.property();
    private static final String TOKEN = "AQAEAtoken";
    private static final String ROLES = "/latest/meta-data/iam/security-credentials/";
    private static final String ROLE = "blobstore";

    private final HttpServer http;
    private volatile boolean isAway;

    /** Gives out this key. */
    public InstanceMetadata(String accessKeyId, String secretAccessKey) {
        try {
            http = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 16);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        http.createContext("/", exchange -> answer(exchange, accessKeyId, secretAccessKey));
        http.start();
        System.setProperty(ENDPOINT, "http://127.0.0.1:" + http.getAddress().getPort());
    }

    /** Refuses everything from now on, or no longer. */
    public void away(boolean next) {
        isAway = next;
    }

    private void answer(HttpExchange exchange, String accessKeyId, String secretAccessKey) throws IOException {
        try (exchange) {
            String path = exchange.getRequestURI().getPath();
            if (isAway) {
                exchange.sendResponseHeaders(503, -1);
            } else if (path.equals("/latest/api/token")
                    && exchange.getRequestMethod().equals("PUT")) {
                exchange.getResponseHeaders().set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600");
                send(exchange, TOKEN);
            } else if (!TOKEN.equals(exchange.getRequestHeaders().getFirst("X-Aws-Ec2-Metadata-Token"))) {
                exchange.sendResponseHeaders(401, -1);
            } else if (path.equals(ROLES)) {
                send(exchange, ROLE);
            } else if (path.equals(ROLES + ROLE)) {
                send(exchange, """
                        {"Code": "Success", "Type": "AWS-HMAC", "LastUpdated": "%s", "AccessKeyId": "%s",
                         "SecretAccessKey": "%s", "Token": "session/token==", "Expiration": "%s"}
                        """.formatted(
                                Instant.now(),
                                accessKeyId,
                                secretAccessKey,
                                Instant.now().plus(Duration.ofHours(6))));
            } else {
                exchange.sendResponseHeaders(404, -1);
            }
        }
    }

    private static void send(HttpExchange exchange, String text) throws IOException {
        byte[] body = text.getBytes(StandardCharsets.UTF_8);
        exchange.sendResponseHeaders(200, body.length);
        exchange.getResponseBody().write(body);
    }

    @Override
    public void close() {
        System.clearProperty(ENDPOINT);
        http.stop(0);
    }
}
