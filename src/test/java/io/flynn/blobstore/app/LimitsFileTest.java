package io.flynn.blobstore.app;

import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.decide.TransferLimits;
import io.flynn.blobstore.store.Traffic;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LimitsFileTest {

    @TempDir
    Path folder;

    private final Traffic traffic = new Traffic();

    private void await(int blobs) {
        Awaitility.await().atMost(Duration.ofSeconds(60)).until(() -> traffic.shares() == blobs * Traffic.SHARES);
    }

    @Test
    void limitsFollowTheFileAndAMistakeChangesNothing() throws Exception {
        Path file = folder.resolve("limits");
        traffic.limitBlobs(8);
        try (LimitsFile limits = new LimitsFile(file, new TransferLimits(8, 0), traffic)) {
            assertThat(traffic.shares()).isEqualTo(8 * Traffic.SHARES);
            Files.writeString(file, "concurrency: 3\n");
            await(3);
            Files.writeString(file, "concurrency: lots\n");
            limits.look();
            assertThat(traffic.shares()).isEqualTo(3 * Traffic.SHARES);
            Files.writeString(file, "concurrency: 5\n");
            await(5);
            Files.delete(file);
            await(8);
        }
    }
}
