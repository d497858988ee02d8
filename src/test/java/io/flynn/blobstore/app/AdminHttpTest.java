package io.flynn.blobstore.app;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;

class AdminHttpTest {

    private final AtomicBoolean healthy = new AtomicBoolean(true);

    @Test
    void answersWhoAsksForHealthAndMetrics() throws Exception {
        int port = AdminHttp.start(0, healthy::get, () -> "a_metric 1\n").port();

        assertThat(get(port, "/healthz").statusCode()).isEqualTo(200);
        assertThat(get(port, "/readyz").statusCode()).isEqualTo(200);
        assertThat(get(port, "/metrics").body()).isEqualTo("a_metric 1\n");
        assertThat(get(port, "/secrets").statusCode()).isEqualTo(404);

        healthy.set(false);

        assertThat(get(port, "/readyz").statusCode()).isEqualTo(503);
        assertThat(get(port, "/healthz").statusCode())
                .as("a restart would not mend a watch")
                .isEqualTo(200);
    }

    private static HttpResponse<String> get(int port, String path) throws Exception {
        try (HttpClient client = HttpClient.newHttpClient()) {
            return client.send(
                    HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + path))
                            .build(),
                    BodyHandlers.ofString());
        }
    }
}
