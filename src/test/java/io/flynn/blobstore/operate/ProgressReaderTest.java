package io.flynn.blobstore.operate;

import static org.assertj.core.api.Assertions.assertThat;

import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.server.mock.EnableKubernetesMockClient;
import io.fabric8.kubernetes.client.server.mock.KubernetesMockServer;
import io.flynn.blobstore.decide.Progress;
import io.flynn.blobstore.decide.Stage;
import io.flynn.blobstore.operate.ProgressReader.Heard;
import io.flynn.blobstore.operate.ProgressReader.Source;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

@EnableKubernetesMockClient
class ProgressReaderTest {

    private static final Source SOURCE = new Source("apps", "copy-1", "blobstore", Stage.COPY);

    private static final String PATH =
            "/api/v1/namespaces/apps/pods/copy-1/log?container=blobstore&tailLines=20&limitBytes=65536";

    private static final String LOG = """
            {"progress":{"stage":"COPY","totalBlobs":10,"totalBytes":100,"doneBlobs":3,"doneBytes":30,"failedBlobs":0,"bytesPerSecond":5,"blob":"a","bottleneck":"store"}}
            {"@timestamp":"2026-01-01T00:00:00Z","message":"a log line of somebody else"}
            {"progress":{"stage":"COPY","totalBlobs":10,"totalBytes":100,"doneBlobs":4,"doneBytes":40,"failedBlobs":0,"bytesPerSecond":5,"blob":"b","bottleneck":"store"}}
            {"progress":{"stage":"COPY","totalBl""";

    private KubernetesMockServer server;
    private KubernetesClient client;

    private final AtomicReference<Instant> now = new AtomicReference<>(Instant.parse("2026-01-01T00:00:00Z"));
    private final Semaphore news = new Semaphore(0);
    private ProgressReader reader;

    @BeforeEach
    void open() {
        reader = new ProgressReader(client, now::get);
    }

    @AfterEach
    void close() {
        reader.close();
    }

    private Optional<Heard> ask() {
        return reader.latest(List.of(SOURCE), news::release);
    }

    private void awaitNews() throws InterruptedException {
        assertThat(news.tryAcquire(10, TimeUnit.SECONDS)).as("wakes who asked").isTrue();
    }

    @Test
    void theLastWholeLineIsHeardAndWakesWhoAsked() throws Exception {
        server.expect().get().withPath(PATH).andReturn(200, LOG).once();

        assertThat(ask()).as("nothing was heard yet, and asking doesn't wait").isEmpty();
        awaitNews();

        assertThat(ask()).contains(new Heard(new Progress(Stage.COPY, 10, 100, 4, 40, 0, 5, "b", "store"), now.get()));
    }

    @Test
    void whatSeveralPodsHaveDoneIsAddedUpAndWhatIsLeftIsWhatTheLastToCountHasSeen() throws Exception {
        Source other = new Source("apps", "copy-2", "blobstore", Stage.COPY);
        server.expect().get().withPath(PATH).andReturn(200, LOG).once();
        server.expect()
                .get()
                .withPath(PATH.replace("copy-1", "copy-2"))
                .andReturn(200, """
                        {"progress":{"stage":"COPY","totalBlobs":6,"totalBytes":70,"doneBlobs":5,"doneBytes":50,"failedBlobs":1,"bytesPerSecond":7,"blob":"c","bottleneck":"network"}}
                        """)
                .once();
        List<Source> both = List.of(SOURCE, other);
        reader.latest(both, news::release);
        awaitNews();
        awaitNews();

        assertThat(reader.latest(both, news::release))
                .contains(new Heard(new Progress(Stage.COPY, 10, 110, 9, 90, 1, 12, "c", "network"), now.get()));
    }

    @Test
    void aPodIsAskedAtMostOnceInTenSeconds() throws Exception {
        server.expect().get().withPath(PATH).andReturn(200, LOG).always();
        ask();
        awaitNews();

        now.updateAndGet(instant -> instant.plus(Duration.ofSeconds(9)));
        ask();
        assertThat(server.getRequestCount()).isEqualTo(1);

        now.updateAndGet(instant -> instant.plus(Duration.ofSeconds(1)));
        ask();
        awaitNews();
        assertThat(server.getRequestCount()).isEqualTo(2);
    }

    @Test
    void aPodThatSaysNothingIsAskedAgainInTwoSeconds() throws Exception {
        server.expect()
                .get()
                .withPath(PATH)
                .andReturn(400, "container is starting")
                .once();
        server.expect().get().withPath(PATH).andReturn(200, LOG).once();
        ask();
        org.awaitility.Awaitility.await().until(() -> server.getRequestCount() == 1);

        now.updateAndGet(instant -> instant.plus(Duration.ofSeconds(2)));
        org.awaitility.Awaitility.await().until(() -> {
            ask();
            return server.getRequestCount() == 2;
        });
        awaitNews();

        assertThat(ask()).isPresent();
    }
}
