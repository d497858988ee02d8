package io.flynn.blobstore.operate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientException;
import io.flynn.blobstore.api.v1alpha1.BlobMigration;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What the schemas refuse without looking at the world, in words that name the field and the fix. On every API server. */
abstract class SpecContract {

    private BackendWorld world;

    abstract KubernetesClient connect();

    @BeforeEach
    void makeNamespace() {
        world = new BackendWorld(connect());
    }

    /** @param says what the refusal must contain */
    record Bad(String given, String yaml, List<String> says) {
        @Override
        public String toString() {
            return given;
        }
    }

    private static final String AWS = BackendWorld.spec("s3main")
            .replace("provider: S3Compatible", "provider: AWS")
            .replace(", endpoint: \"https://s3.example.com\"", "");

    private static Bad backend(String given, String from, String to, String... says) {
        String good = BackendWorld.spec("s3main", "backendName: s3main");
        assertThat(good).contains(from);
        return new Bad(given, good.replace(from, to), List.of(says));
    }

    private static String migration(String... more) {
        return """
                apiVersion: blobstore.flynn.io/v1alpha1
                kind: BlobMigration
                metadata: {name: pg-to-s3}
                spec:
                  workload: {name: blobstore}
                """
                + String.join(
                        "", Stream.of(more).map(line -> "  " + line + "\n").toList());
    }

    static List<Bad> bad() {
        return List.of(
                new Bad(
                        "http endpoint for AWS",
                        AWS.replace("us-east-1", "us-east-1, endpoint: \"http://s3.example.com\""),
                        List.of("spec.s3.endpoint is http", "write https://")),
                backend(
                        "S3Compatible without an endpoint",
                        ", endpoint: \"https://s3.example.com\"",
                        "",
                        "spec.s3.endpoint is missing",
                        "https://host"),
                backend(
                        "space in the bucket",
                        "flynnblobstore",
                        "\"flynn blobstore\"",
                        "spec.s3.bucket",
                        "flynn blobstore"),
                backend(
                        "newline in the bucket",
                        "flynnblobstore",
                        "\"flynnblobstore\\n\"",
                        "spec.s3.bucket",
                        "should match"),
                backend("space in the region", "us-east-1", "\"us east\"", "spec.s3.region", "us east"),
                backend("newline in the region", "us-east-1", "\"us-east-1\\n\"", "spec.s3.region", "should match"),
                backend(
                        "space in the endpoint",
                        "https://s3.example.com",
                        "https://s3.example .com",
                        "spec.s3.endpoint",
                        "https://s3.example .com"),
                backend(
                        "newline in the endpoint",
                        "https://s3.example.com",
                        "https://s3.example.com\\n",
                        "spec.s3.endpoint",
                        "should match"),
                backend(
                        "postgres as backendName",
                        "backendName: s3main",
                        "backendName: postgres",
                        "spec.backendName \"postgres\" is the database itself",
                        "choose another name"),
                backend(
                        "dash in backendName",
                        "backendName: s3main",
                        "backendName: s3-main",
                        "spec.backendName",
                        "s3-main",
                        "[a-z0-9]{1,40}"),
                new Bad(
                        "dash in the name that is to be the backend's",
                        BackendWorld.spec("s3-main"),
                        List.of("metadata.name can't be a backend's name", "no dash", "spec.backendName")),
                new Bad(
                        "postgres as the name that is to be the backend's",
                        BackendWorld.spec("postgres"),
                        List.of("metadata.name \"postgres\" is the database itself", "choose another name")),
                new Bad(
                        "a migration to where the blobs are",
                        migration("from: postgres", "to: postgres"),
                        List.of("spec.to is the same as spec.from", "name another place")),
                new Bad(
                        "a size that is none",
                        migration("from: postgres", "to: s3main", "filter: {minSize: 5MB}"),
                        List.of("spec.filter.minSize", "5MB")),
                new Bad(
                        "a time that is none",
                        migration("from: postgres", "to: s3main", "filter: {updatedBefore: yesterday}"),
                        List.of("spec.filter.updatedBefore", "yesterday")),
                new Bad(
                        "a month that is not in the calendar",
                        migration("from: postgres", "to: s3main", "filter: {updatedBefore: \"2026-13-01T00:00:00Z\"}"),
                        List.of("spec.filter.updatedBefore")),
                new Bad(
                        "a limit that is none",
                        migration("from: postgres", "to: s3main", "bandwidthLimit: fast"),
                        List.of("spec.bandwidthLimit", "fast")));
    }

    @ParameterizedTest
    @MethodSource("bad")
    void isRefusedInWordsThatNameTheFieldAndTheFix(Bad bad) {
        assertRefused(
                () -> world.client
                        .resource(bad.yaml())
                        .inNamespace(world.namespace)
                        .create(),
                bad.says());
    }

    @Test
    void whatRowsHoldOrWorkloadsReferToDoesNotChange() {
        world.backend(BackendWorld.spec("s3main"));
        assertRefused(
                () -> replace(BackendWorld.spec("s3main", "backendName: other")),
                List.of("spec.backendName can't change", "make another BlobstoreBackend"));
        assertRefused(
                () -> replace(BackendWorld.spec("s3main").replace("{name: blobstore}", "{name: other}")),
                List.of("spec.workload.name can't change", "make another BlobstoreBackend"));
        replace(BackendWorld.spec("s3main", "backendName: s3main", "default: true"));
    }

    @Test
    void aMigrationGoesWhereItWasSentAndACancelIsForGood() {
        world.client
                .resource(migration("from: postgres", "to: s3main"))
                .inNamespace(world.namespace)
                .create();
        assertRefused(
                () -> replace(migration("from: postgres", "to: s3dr")),
                List.of("spec.to can't change", "make another"));
        assertRefused(
                () -> replace(migration("from: s3dr", "to: s3main")),
                List.of("spec.from can't change", "make another"));
        assertRefused(
                () -> replace(migration("from: postgres", "to: s3main", "filter: {prefix: /app/}")),
                List.of("spec.filter can't change", "make another"));
        assertRefused(
                () -> replace(migration("from: postgres", "to: s3main", "mode: Plan")),
                List.of("spec.mode can't change", "make another"));
        assertRefused(
                () -> replace(migration("from: postgres", "to: s3main").replace("{name: blobstore}", "{name: other}")),
                List.of("spec.workload.name can't change", "make another"));
        replace(migration("from: postgres", "to: s3main", "cancel: true"));
        assertRefused(
                () -> replace(migration("from: postgres", "to: s3main", "cancel: false")),
                List.of("spec.cancel can't be taken back", "make another BlobMigration"));
        assertThat(world.client
                        .resources(BlobMigration.class)
                        .inNamespace(world.namespace)
                        .withName("pg-to-s3")
                        .get()
                        .getSpec()
                        .cancel())
                .isTrue();
    }

    private void replace(String yaml) {
        world.client.resource(yaml).inNamespace(world.namespace).update();
    }

    private static void assertRefused(Runnable write, List<String> says) {
        assertThatThrownBy(write::run).isInstanceOfSatisfying(KubernetesClientException.class, refusal -> {
            assertThat(refusal.getCode()).as(refusal.getMessage()).isEqualTo(422);
            assertThat(refusal.getStatus().getMessage()).contains(says);
        });
    }
}
