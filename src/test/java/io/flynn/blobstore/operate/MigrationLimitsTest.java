package io.flynn.blobstore.operate;

import static org.assertj.core.api.Assertions.assertThat;

import io.fabric8.kubernetes.client.utils.Serialization;
import io.flynn.blobstore.api.v1alpha1.BlobMigrationSpec;
import io.flynn.blobstore.decide.TransferLimits;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What each pod is held to, of what the spec has for all of them together. */
class MigrationLimitsTest {

    @ParameterizedTest
    @CsvSource({
        // of all, pods asked for; pods, of each
        "0, 1, 1, 0",
        "0, 16, 16, 0",
        "50Mi, 1, 1, 52428800",
        "30Mi, 3, 3, 10485760",
        "4000000, 16, 4, 1000000",
        "1999999, 2, 1, 1999999",
    })
    void isItsPart(String limit, int parallelism, int pods, long bytes) {
        assertThat(MigrationLimits.pods(spec(limit, parallelism))).isEqualTo(pods);
        assertThat(told(limit, parallelism)).isEqualTo(new TransferLimits(8, bytes));
    }

    /** A worker that is told what it can't be held to keeps to what it was told before, and is not told its other limits either. */
    @ParameterizedTest
    @CsvSource({"1, 1000000", "500Ki, 1000000", "500Ti, 999999999999"})
    void limitThatNoPodCanBeHeldToIsTheNearestThatOneCan(String limit, long bytes) {
        assertThat(told(limit, 1)).isEqualTo(new TransferLimits(8, bytes));
    }

    private static TransferLimits told(String limit, int parallelism) {
        return TransferLimits.parse(
                MigrationLimits.data(spec(limit, parallelism)).get(MigrationLimits.FILE), new TransferLimits(1, 0));
    }

    private static BlobMigrationSpec spec(String limit, int parallelism) {
        return Serialization.unmarshal("""
                workload: {name: blobstore}
                from: postgres
                to: s3main
                bandwidthLimit: "%s"
                parallelism: %d
                """.formatted(limit, parallelism), BlobMigrationSpec.class);
    }
}
