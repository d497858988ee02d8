package io.flynn.blobstore.operate;

import io.fabric8.kubernetes.api.model.EnvVar;
import io.fabric8.kubernetes.api.model.EnvVarBuilder;
import io.fabric8.kubernetes.api.model.GenericKubernetesResource;
import io.fabric8.kubernetes.api.model.GenericKubernetesResourceBuilder;
import io.fabric8.kubernetes.api.model.apps.Deployment;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.client.utils.Serialization;
import io.flynn.blobstore.api.v1alpha1.PodTemplate;
import io.flynn.blobstore.decide.Stage;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;

/** Requests for Jobs, and what they are made from. */
final class StageJobs {

    static final String UID = "0b3f9f0e-5b1c-4a75-9d2f-0c6a2f1e7a11";

    static final GenericKubernetesResource OWNER = new GenericKubernetesResourceBuilder()
            .withApiVersion("blobstore.flynn.io/v1alpha1")
            .withKind("BlobMigration")
            .withNewMetadata()
            .withName("pg-to-s3")
            .withNamespace("paas")
            .withUid(UID)
            .endMetadata()
            .build();

    static final List<EnvVar> OURS = List.of(
            new EnvVarBuilder()
                    .withName("BACKEND_S3MAIN")
                    .withValue("backend=s3 region=eu-central-1 bucket=a$(PGPASSWORD)b$c")
                    .build(),
            new EnvVarBuilder()
                    .withName("BACKEND_S3MAIN_SECRET_ACCESS_KEY")
                    .withNewValueFrom()
                    .withNewSecretKeyRef("secret-access-key", "s3main", null)
                    .endValueFrom()
                    .build());

    static final PodImage IMAGE = new PodImage("registry/blobstore:1", "IfNotPresent", List.of("pull"));

    private StageJobs() {}

    static Deployment workload() {
        return resource("operate/workload.yaml", Deployment.class);
    }

    static Deployment plainWorkload() {
        return resource("operate/workload-plain.yaml", Deployment.class);
    }

    static StageJob.Request request(Deployment workload, Optional<String> container, PodTemplate template) {
        return new StageJob.Request(
                OWNER,
                Labels.MIGRATION,
                Stage.COPY,
                3,
                List.of("--migration", UID, "--name", "paas/pg-to-s3", "--to", "a$(PGPASSWORD)"),
                OURS,
                Optional.of(MigrationLimits.name(UID)),
                workload,
                container,
                template,
                IMAGE,
                OptionalInt.empty(),
                Duration.ofHours(24),
                6,
                Duration.ofDays(1));
    }

    static Job job(Deployment workload, PodTemplate template) {
        Optional<String> container =
                workload.getSpec().getTemplate().getSpec().getContainers().size() > 1
                        ? Optional.of("blobstore")
                        : Optional.empty();
        return switch (StageJob.of(request(workload, container, template))) {
            case StageJob.Built built -> built.job();
            case StageJob.Refused refused -> throw new AssertionError(refused.toString());
        };
    }

    static Job job() {
        return job(plainWorkload(), PodTemplate.EMPTY);
    }

    private static <T> T resource(String path, Class<T> type) {
        try (InputStream stream = StageJobs.class.getClassLoader().getResourceAsStream(path)) {
            return Serialization.unmarshal(Objects.requireNonNull(stream, path), type);
        } catch (IOException failure) {
            throw new UncheckedIOException(failure);
        }
    }
}
