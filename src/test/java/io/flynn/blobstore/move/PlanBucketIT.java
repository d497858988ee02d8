package io.flynn.blobstore.move;

import static io.flynn.blobstore.move.MoveWorld.S3MAIN;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.decide.Stage;
import io.flynn.blobstore.decide.VacuumMode;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.store.s3.S3BlobStore;
import io.flynn.blobstore.testkit.LocalS3;
import java.util.Map;
import org.junit.jupiter.api.Test;

class PlanBucketIT {

    @Test
    void aBucketThatIsMissingIsSaidByThePlan() {
        try (LocalS3 s3 = LocalS3.start();
                MoveWorld world = new MoveWorld(s3);
                S3BlobStore store = new S3BlobStore(s3.backend(S3MAIN, "nosuchbucket"), 2)) {
            PlanRun plan = new PlanRun(
                    world.context(Stage.PLAN),
                    new PlanRun.Order(MoveWorld.TO_S3, S3MAIN, "bucket", false, true, VacuumMode.AUTO),
                    new Stores(Map.of(S3MAIN, store)));

            assertThatThrownBy(plan::run)
                    .isInstanceOfSatisfying(
                            StorageFailure.Missing.class,
                            missing -> assertThat(missing.reason()).isEqualTo(Reasons.BUCKET_MISSING))
                    .hasMessageContaining("create bucket nosuchbucket");
        }
    }
}
