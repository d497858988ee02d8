package io.flynn.blobstore.conformance;

import io.flynn.blobstore.testkit.EmbeddedPg;
import java.util.Map;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Thousands of requests at random for hostile names, each answered as by a model in memory, and nothing left behind at the end. */
class RequestSequencesIT {

    private static final long SEED = 20_160_624;

    @Test
    void tenThousandRequestsToPostgresAreAnsweredAsByTheModel() {
        postgres(SEED, 10_000);
    }

    /** A request takes a store several times as long as the database, which is why there are fewer. */
    @Test
    void oneThousandRequestsToS3AreAnsweredAsByTheModel() {
        s3(SEED + 1, 1_000);
    }

    @Tag("long")
    @Test
    void otherSequencesAreAnsweredAsByTheModel() {
        for (int i = 2; i < 12; i++) {
            postgres(SEED + i, 10_000);
            s3(SEED + i, 10_000);
        }
    }

    private static void postgres(long seed, int requests) {
        try (EmbeddedPg.Database database = EmbeddedPg.database();
                OurServer server = OurServer.start(database, Map.of());
                Blobstore blobs = new Blobstore(server.url())) {
            new RequestSequence(seed, blobs).run(requests);
            Leftovers.assertNone(database);
        }
    }

    private static void s3(long seed, int requests) {
        try (EmbeddedPg.Database database = EmbeddedPg.database();
                S3 s3 = new S3();
                OurServer server = OurServer.start(database, s3.byDefault());
                Blobstore blobs = new Blobstore(server.url())) {
            new RequestSequence(seed, blobs).run(requests);
            Leftovers.assertNone(database, s3.store());
        }
    }
}
