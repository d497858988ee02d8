package io.flynn.blobstore.decide;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.blob.Secret;
import io.flynn.blobstore.decide.BackendEnvironment.Encoded;
import java.net.URI;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;
import org.junit.jupiter.params.provider.ValueSource;

class BackendEnvironmentTest {

    private static final BackendName S3MAIN = new BackendName("s3main");

    /** As the posting of 2016 says it. */
    private static final String RECIPE =
            "backend=s3 region=eu-central-1 bucket=flynnblobstore access_key_id=AKIA secret_access_key=s3cr/t+=";

    @Test
    void theOldRecipeIsUnderstood() {
        BackendEnvironment decoded =
                BackendEnvironment.decode(Map.of("BACKEND_S3MAIN", RECIPE, "DEFAULT_BACKEND", "s3main"));

        assertThat(decoded.rejected()).isEmpty();
        assertThat(decoded.defaultBackend()).isEqualTo(S3MAIN);
        assertThat(decoded.backends().get(S3MAIN))
                .isEqualTo(new BackendSettings(
                        S3MAIN,
                        BackendSettings.Kind.S3,
                        "eu-central-1",
                        "flynnblobstore",
                        Optional.empty(),
                        false,
                        new Secret("AKIA"),
                        new Secret("s3cr/t+=")));
    }

    @Test
    void spacesThatBrokeTheOldStartAreIgnored() {
        BackendEnvironment decoded =
                BackendEnvironment.decode(Map.of("BACKEND_S3MAIN", "  " + RECIPE.replace(" ", "   ") + " "));

        assertThat(decoded.backends()).containsOnlyKeys(S3MAIN);
    }

    @Test
    void aVariableForOneKeyWinsAndMayHoldWhatATokenCannot() {
        BackendEnvironment decoded = BackendEnvironment.decode(Map.of(
                "BACKEND_S3MAIN", RECIPE, "BACKEND_S3MAIN_BUCKET", "other", "BACKEND_S3MAIN_REGION", "eu-west-1"));

        assertThat(decoded.backends().get(S3MAIN).bucket()).isEqualTo("other");
        assertThat(decoded.backends().get(S3MAIN).region()).isEqualTo("eu-west-1");
    }

    @Test
    void aServiceNamedBackendIsNoBackend() {
        BackendEnvironment decoded = BackendEnvironment.decode(Map.of(
                "BACKEND_PORT", "tcp://10.96.0.12:80",
                "BACKEND_PORT_80_TCP", "tcp://10.96.0.12:80",
                "BACKEND_SERVICE_HOST", "10.96.0.12"));

        assertThat(decoded.backends()).isEmpty();
        assertThat(decoded.rejected()).isEmpty();
        assertThat(decoded.defaultBackend()).isEqualTo(BackendName.POSTGRES);
    }

    record Wrong(String settings, String says) {
        @Override
        public String toString() {
            return settings;
        }
    }

    static final List<Wrong> WRONG = List.of(
            new Wrong("backend=s3 oops", "token without \"=\""),
            new Wrong("region=x bucket=b", "backend is missing"),
            new Wrong("backend=gcs bucket=b", "is \"gcs\", which the old program knew and this one does not"),
            new Wrong("backend=azure container=c", "is \"azure\", which the old program knew and this one does not"),
            new Wrong("backend=swift", "is \"swift\", which is not supported"),
            new Wrong("backend=s3 region=r bucket=b ec2_role=yes", "ec2_role is neither true nor false"),
            new Wrong("backend=minio endpoint=h bucket=b ec2_role=true", "access_key_id is empty"),
            new Wrong("backend=s3 region=r access_key_id=a secret_access_key=s", "bucket is missing"),
            new Wrong("backend=s3 bucket=b access_key_id=a secret_access_key=s", "region is missing"),
            new Wrong("backend=s3 region=r bucket=b secret_access_key=s", "access_key_id is empty"),
            new Wrong("backend=s3 region=r bucket=$(X) access_key_id=a secret_access_key=s", "bucket holds \"$(\""),
            new Wrong("backend=s3 region=r bucket=b endpoint=ftp://x access_key_id=a secret_access_key=s", "endpoint"),
            new Wrong("backend=s3 region=r bucket=b path_style=yes access_key_id=a secret_access_key=s", "path_style"),
            new Wrong("backend=minio bucket=b access_key_id=a secret_access_key=s", "endpoint is missing"));

    @ParameterizedTest
    @FieldSource("WRONG")
    void aWrongBackendIsRejectedWithItsKeyAndLeavesTheOthersAlone(Wrong wrong) {
        BackendEnvironment decoded =
                BackendEnvironment.decode(Map.of("BACKEND_BAD", wrong.settings(), "BACKEND_S3MAIN", RECIPE));

        assertThat(decoded.backends()).containsOnlyKeys(S3MAIN);
        assertThat(decoded.rejected()).hasSize(1);
        assertThat(decoded.rejected().get(new BackendName("bad"))).contains("BACKEND_BAD", wrong.says());
    }

    @ParameterizedTest
    @ValueSource(strings = {"s3 cr3t", "s3cr3t\n", "s3cr3t\t", " s3cr3t", "s3cr3t\u007f", "s3cr3t\u00a0"})
    void aSecretWithWhiteSpaceIsRejectedAndNotRepeated(String secret) {
        BackendEnvironment decoded =
                BackendEnvironment.decode(Map.of("BACKEND_S3MAIN", RECIPE, "BACKEND_S3MAIN_SECRET_ACCESS_KEY", secret));

        assertThat(decoded.rejected().get(S3MAIN))
                .contains("secret_access_key", "a newline")
                .doesNotContain("cr3t");
    }

    @Test
    void aTokenThatMayBeAPieceOfASecretIsNotRepeated() {
        assertThat(BackendEnvironment.decode(Map.of("BACKEND_S3MAIN", RECIPE + " p1ece"))
                        .rejected()
                        .get(S3MAIN))
                .doesNotContain("p1ece");
    }

    @Test
    void aDefaultThatIsNoNameIsRefused() {
        assertThatThrownBy(() -> BackendEnvironment.decode(Map.of("DEFAULT_BACKEND", "s3-main")))
                .isInstanceOf(InvalidSettingException.class)
                .hasMessageContaining("DEFAULT_BACKEND")
                .hasMessageContaining("s3-main");
    }

    @Test
    void theRoleOfAnInstanceIsUnderstoodAsTheOldProgramHasIt() {
        BackendSettings role = BackendEnvironment.decode(
                        Map.of("BACKEND_S3MAIN", "backend=s3 region=r bucket=b access_key_id=ignored ec2_role=true"))
                .backends()
                .get(S3MAIN);

        assertThat(role.ec2Role()).isTrue();
        assertThat(role.accessKeyId().reveal()).isEmpty();
        assertThat(BackendEnvironment.decode(Map.of("BACKEND_S3MAIN", RECIPE + " ec2_role=false"))
                        .backends()
                        .get(S3MAIN)
                        .ec2Role())
                .isFalse();
    }

    @Test
    void minioIsUnderstoodAsTheOldProgramWroteIt() {
        BackendSettings minio = BackendEnvironment.decode(
                        Map.of(
                                "BACKEND_STORE",
                                "backend=minio endpoint=minio.example:9000 bucket=b access_key_id=a secret_access_key=s insecure=true"))
                .backends()
                .get(new BackendName("store"));

        assertThat(minio.endpoint()).contains(URI.create("http://minio.example:9000"));
        assertThat(minio.pathStyle()).isTrue();
    }

    @Test
    void whatIsEncodedIsDecodedAndNoSecretIsInWhatMayBeRead() {
        Random random = new Random(7);
        for (int i = 0; i < 2000; i++) {
            BackendSettings settings = arbitrary(random);
            Encoded encoded = BackendEnvironment.encode(settings);

            Map<String, String> environment = new HashMap<>();
            environment.put(encoded.variable(), encoded.settings());
            encoded.secrets().forEach((variable, secret) -> environment.put(variable, secret.reveal()));

            BackendEnvironment decoded = BackendEnvironment.decode(environment);
            assertThat(decoded.rejected()).isEmpty();
            assertThat(decoded.backends()).isEqualTo(Map.of(settings.name(), settings));
            if (settings.ec2Role()) {
                continue;
            }
            assertThat(encoded.settings())
                    .doesNotContain(settings.accessKeyId().reveal())
                    .doesNotContain(settings.secretAccessKey().reveal());
            assertThat(encoded.toString())
                    .doesNotContain(settings.secretAccessKey().reveal());
        }
    }

    private static BackendSettings arbitrary(Random random) {
        boolean minio = random.nextBoolean();
        Optional<URI> endpoint = minio || random.nextBoolean()
                ? Optional.of(URI.create((random.nextBoolean() ? "https" : "http") + "://store" + random.nextInt(9)
                        + ".example" + (random.nextBoolean() ? ":9000" : "")))
                : Optional.empty();
        boolean ec2Role = !minio && random.nextInt(4) == 0;
        return new BackendSettings(
                new BackendName("b" + random.nextInt(100)),
                minio ? BackendSettings.Kind.MINIO : BackendSettings.Kind.S3,
                minio && random.nextBoolean() ? "" : "region-" + random.nextInt(9),
                "bucket" + random.nextInt(1000),
                endpoint,
                minio || random.nextBoolean(),
                new Secret(ec2Role ? "" : "ID=" + text(random)),
                new Secret(ec2Role ? "" : "KEY/" + text(random)),
                ec2Role);
    }

    private static String text(Random random) {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < 20; i++) {
            text.append((char) ('!' + random.nextInt('~' - '!' + 1)));
        }
        return text.toString();
    }
}
