package io.flynn.blobstore.operate;

import static org.assertj.core.api.Assertions.assertThat;

import io.fabric8.kubernetes.api.model.Secret;
import io.fabric8.kubernetes.api.model.apps.Deployment;
import io.fabric8.kubernetes.client.utils.Serialization;
import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.decide.BackendEnvironment;
import io.flynn.blobstore.decide.BackendEnvironment.Encoded;
import io.flynn.blobstore.decide.BackendSettings;
import io.flynn.blobstore.testkit.Golden;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** What the operator writes for a backend, whole. */
class BackendObjectsTest {

    private static final String UID = "5cd5c4c7-0c3e-4b6a-a9c4-6f1f4a7a3d10";

    private static final BackendFields FIELDS = new BackendFields("s3main", new BackendName("s3main"));

    @Test
    void entriesAreOneManagersAndSayNothingElse() throws IOException {
        Golden.assertMatches(
                "operate/backend/entries.yaml",
                Serialization.asYaml(
                        DeploymentIntent.entries(live(), "server", FIELDS, ConfigSecret.hash(UID, encoded("key")))));
    }

    @Test
    void defaultIsOneVariableAndSaysNothingElse() throws IOException {
        Golden.assertMatches(
                "operate/backend/default.yaml",
                Serialization.asYaml(DeploymentIntent.defaultBackend(live(), "server", FIELDS)));
    }

    @Test
    void takingAwaySaysNothingAtAll() throws IOException {
        Golden.assertMatches("operate/backend/nothing.yaml", Serialization.asYaml(DeploymentIntent.nothing(live())));
    }

    @Test
    void configurationIsAnImmutableSecretThatNamesTheOneBefore() {
        Golden.assertMatches(
                "operate/backend/secret.yaml",
                Serialization.asYaml(secret(encoded("key"), List.of("s3main-config-0"))));
    }

    @Test
    void nameOfTheConfigurationTellsEveryChangeAndNoSecret() {
        String hash = ConfigSecret.hash(UID, encoded("key"));

        assertThat(ConfigSecret.hash(UID, encoded("key"))).isEqualTo(hash);
        assertThat(ConfigSecret.hash(UID, encoded("another key"))).isNotEqualTo(hash);
        assertThat(ConfigSecret.hash("another resource", encoded("key")))
                .as("two backends with one key have different names")
                .isNotEqualTo(hash);
        assertThat(FIELDS.hash(secret(encoded("key"), List.of()).getMetadata().getName()))
                .contains(hash);
    }

    @Test
    void policyIsTheLeast() {
        Golden.assertMatches("operate/backend/iam-policy.json", IamPolicy.of("flynnblobstore") + "\n");
    }

    private static Secret secret(Encoded encoded, List<String> previous) {
        return ConfigSecret.build(FIELDS, "paas", ConfigSecret.hash(UID, encoded), encoded, previous);
    }

    private static Encoded encoded(String secretAccessKey) {
        return BackendEnvironment.encode(new BackendSettings(
                new BackendName("s3main"),
                BackendSettings.Kind.S3,
                "us-east-1",
                "flynnblobstore",
                Optional.of(URI.create("https://minio.example:9000")),
                true,
                new io.flynn.blobstore.blob.Secret("AKIDEXAMPLE"),
                new io.flynn.blobstore.blob.Secret(secretAccessKey.replace(' ', '-'))));
    }

    private static Deployment live() throws IOException {
        return Serialization.unmarshal(
                Files.readString(Path.of("src/test/resources/operate/workload-plain.yaml")), Deployment.class);
    }
}
