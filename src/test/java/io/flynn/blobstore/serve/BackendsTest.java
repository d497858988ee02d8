package io.flynn.blobstore.serve;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.flynn.blobstore.decide.BackendEnvironment;
import io.flynn.blobstore.decide.InvalidSettingException;
import io.flynn.blobstore.store.s3.PartRoom;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class BackendsTest {

    private static final String GOOD =
            "backend=s3 region=eu-central-1 bucket=b access_key_id=AKIDEXAMPLE secret_access_key=canary";
    private static final String BAD =
            "backend=s3 region=eu-central-1 access_key_id=AKIDEXAMPLE secret_access_key=canary";

    @Test
    void newBlobsGoToTheDatabaseUnlessToldOtherwise() {
        try (Backends backends = backends(Map.of("BACKEND_S3MAIN", GOOD))) {
            assertThat(backends.defaultBucket()).isEmpty();
            assertThat(backends.bucket("s3main")).isNotNull();
        }
    }

    @Test
    void oneWrongBackendDoesNotTakeTheOthersDown() {
        try (Backends backends =
                backends(Map.of("BACKEND_S3MAIN", GOOD, "BACKEND_OTHER", BAD, "DEFAULT_BACKEND", "s3main"))) {
            assertThat(backends.defaultBucket()).isPresent();
            assertThatThrownBy(() -> backends.bucket("other"))
                    .isInstanceOf(Refusal.class)
                    .hasMessageContaining("\"other\"");
        }
    }

    @Test
    void unknownDefaultIsRefusedWithTheFix() {
        assertThatThrownBy(() -> backends(Map.of("BACKEND_S3MAIN", GOOD, "DEFAULT_BACKEND", "s3mian")))
                .isInstanceOf(InvalidSettingException.class)
                .hasMessage("DEFAULT_BACKEND is \"s3mian\", but there is no such backend: set BACKEND_S3MIAN,"
                        + " or use one of postgres, s3main");
    }

    @Test
    void defaultThatCannotBeUsedIsRefusedWithTheReasonAndWithoutTheSecret() {
        assertThatThrownBy(() -> backends(Map.of("BACKEND_S3MAIN", BAD, "DEFAULT_BACKEND", "s3main")))
                .isInstanceOf(InvalidSettingException.class)
                .hasMessageContaining("DEFAULT_BACKEND is \"s3main\"")
                .hasMessageContaining("bucket is missing")
                .hasMessageNotContaining("canary");
    }

    private static Backends backends(Map<String, String> environment) {
        return new Backends(BackendEnvironment.decode(environment), 4, new PartRoom(1, Optional.empty()));
    }
}
