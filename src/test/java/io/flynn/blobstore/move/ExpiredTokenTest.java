package io.flynn.blobstore.move;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.net.httpserver.HttpServer;
import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.blob.Secret;
import io.flynn.blobstore.decide.BackendSettings;
import io.flynn.blobstore.decide.Progress;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.decide.Stage;
import io.flynn.blobstore.decide.StageReport;
import io.flynn.blobstore.decide.StageReport.Figure;
import io.flynn.blobstore.decide.StageReport.Finding;
import io.flynn.blobstore.store.s3.S3BlobStore;
import io.flynn.blobstore.testkit.Blobs;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** A token that expires while a stage runs: a pod that starts later gets a new one. */
class ExpiredTokenTest {

    private static final byte[] ANSWER =
            "<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>"
                    .getBytes(StandardCharsets.UTF_8);

    private HttpServer server;

    @BeforeEach
    void startStore() throws IOException {
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.createContext("/", exchange -> {
            exchange.getRequestBody().readAllBytes();
            exchange.getResponseHeaders().add("Content-Type", "application/xml");
            exchange.sendResponseHeaders(400, ANSWER.length);
            exchange.getResponseBody().write(ANSWER);
            exchange.close();
        });
        server.start();
    }

    @AfterEach
    void stopStore() {
        server.stop(0);
    }

    @Test
    void anExpiredTokenEndsTheStageWithExitSeventyFive() {
        try (S3BlobStore store = new S3BlobStore(settings(), 1)) {
            StageRunner runner = new StageRunner(Stage.VERIFY, new ProgressMeter(Stage.VERIFY), new Silent());

            StageReport report = runner.run(() -> new ReadsOne(store));

            assertThat(report.outcome().value()).as(report.message()).isEqualTo(75);
            assertThat(report.reason()).isEqualTo(Reasons.CREDENTIALS_REFUSED);
            assertThat(report.message()).contains("ExpiredToken");
        }
    }

    private BackendSettings settings() {
        return new BackendSettings(
                Blobs.S3MAIN,
                BackendSettings.Kind.S3,
                "us-east-1",
                "flynnblobstore",
                Optional.of(URI.create("http://127.0.0.1:" + server.getAddress().getPort())),
                true,
                new Secret("id"),
                new Secret("secret"));
    }

    private record ReadsOne(S3BlobStore store) implements StageRun {

        @Override
        public StageReport run() {
            store.readBack(new ObjectKey(new UUID(1, 2)), 1);
            throw new AssertionError("the store has nothing to read");
        }

        @Override
        public Map<Figure, Long> figures() {
            return Map.of();
        }

        @Override
        public List<Finding> findings() {
            return List.of();
        }
    }

    private static final class Silent implements ProgressOutput {
        @Override
        public void progress(Progress progress) {}

        @Override
        public void report(StageReport report) {}

        @Override
        public void close() {}
    }
}
