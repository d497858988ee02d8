package io.flynn.blobstore.api.v1alpha1;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Default;
import io.fabric8.generator.annotation.Pattern;
import io.fabric8.generator.annotation.Required;
import io.fabric8.generator.annotation.Size;
import io.fabric8.generator.annotation.ValidationRule;
import org.jspecify.annotations.Nullable;

/** What is wanted of a backend. */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record BlobstoreBackendSpec(
        @JsonPropertyDescription("Name under which rows in the database and environment variables know this backend. If"
                + " unset, metadata.name. It can't change.")
        @Pattern(Patterns.BACKEND_NAME)
        @ValidationRule(
                value = "self != 'postgres'",
                message = "spec.backendName \"postgres\" is the database itself: choose another name, as in s3main")
        @Nullable
        String backendName,

        @Required @JsonPropertyDescription("The Deployment that gets this backend, in the same namespace.")
        Workload workload,

        @Required @JsonPropertyDescription("The bucket, and how it is reached.")
        S3 s3,

        @Required @JsonPropertyDescription("How the workload signs in to the store.")
        Credentials credentials,

        @JsonProperty("default")
        @JsonPropertyDescription(
                "Whether new blobs go to this backend. A wish: granted once the probe has passed and every"
                        + " pod of the workload has the backend. One backend of a workload can be the default; with none, new"
                        + " blobs go to PostgreSQL.")
        @Default("false")
        Boolean isDefault,

        @JsonPropertyDescription("How often, and how long, the workload's access to the bucket is tried.")
        @Default("{}")
        Probe probe,

        @JsonPropertyDescription("What the pods of the probe Jobs get besides what the workload's pods have.")
        @Default("{}")
        PodTemplate podTemplate,

        @JsonPropertyDescription("What deleting this resource does. Protect: waits until no row uses the backend, then"
                + " takes it out of the workload. Orphan: leaves the workload as it is.")
        @Default("Protect")
        DeletionPolicy deletionPolicy,

        @JsonPropertyDescription(
                "Whether the operator leaves this backend alone: nothing is probed or changed, except that a"
                        + " deletion goes on.")
        @Default("false")
        Boolean suspend) {

    public BlobstoreBackendSpec {
        isDefault = isDefault == null ? Boolean.FALSE : isDefault;
        probe = probe == null ? new Probe("15m", "30s") : probe;
        podTemplate = podTemplate == null ? PodTemplate.EMPTY : podTemplate;
        deletionPolicy = deletionPolicy == null ? DeletionPolicy.PROTECT : deletionPolicy;
        suspend = suspend == null ? Boolean.FALSE : suspend;
    }

    public enum DeletionPolicy {
        @JsonProperty("Protect")
        PROTECT,
        @JsonProperty("Orphan")
        ORPHAN
    }

    public enum Provider {
        @JsonProperty("AWS")
        AWS,
        @JsonProperty("S3Compatible")
        S3_COMPATIBLE
    }

    @JsonInclude(JsonInclude.Include.NON_NULL)
    public record Workload(
            @Required
            @JsonPropertyDescription("Name of the Deployment. It can't change.")
            @Size(min = 1, max = 253)
            @Pattern(Patterns.RESOURCE_NAME)
            @ValidationRule(
                    value = "self == oldSelf",
                    message = "spec.workload.name can't change: make another BlobstoreBackend for another Deployment")
            String name,

            @JsonPropertyDescription("The container that is the blobstore. Needed only if the pod has more than one.")
            @Size(min = 1, max = 63)
            @Pattern(Patterns.CONTAINER_NAME)
            @Nullable
            String container,

            @JsonPropertyDescription(
                    "Whether entries that somebody else set in the Deployment, and that this backend needs,"
                            + " are taken over. If false, such an entry is a FieldConflict and nothing is changed.")
            @Default("false")
            Boolean takeOwnership) {

        public Workload {
            takeOwnership = takeOwnership == null ? Boolean.FALSE : takeOwnership;
        }
    }

    @JsonInclude(JsonInclude.Include.NON_NULL)
    @ValidationRule(
            value = "self.provider != 'S3Compatible' || (has(self.endpoint) && self.endpoint != '')",
            message = "spec.s3.endpoint is missing: provider S3Compatible needs https://host or https://host:port")
    @ValidationRule(
            value = "self.provider != 'AWS' || !has(self.endpoint) || !self.endpoint.startsWith('http:')",
            message =
                    "spec.s3.endpoint is http: AWS is reached over https only; write https://, leave the endpoint out,"
                            + " or set spec.s3.provider to S3Compatible")
    public record S3(
            @JsonPropertyDescription("Whose store it is. S3Compatible: any other that speaks S3, as Ceph, Garage, R2 or"
                    + " MinIO; it needs an endpoint.")
            @Default("AWS")
            Provider provider,

            @Required
            @JsonPropertyDescription("Name of the bucket. It must exist. It can't change while rows use the backend.")
            @Size(min = 3, max = 255)
            @Pattern(Patterns.BUCKET)
            String bucket,

            @Required
            @JsonPropertyDescription("Region of the bucket; for stores without regions, what they sign with, mostly"
                    + " us-east-1. It can't change while rows use the backend.")
            @Size(min = 1, max = 64)
            @Pattern(Patterns.REGION)
            String region,

            @JsonPropertyDescription(
                    "URL of the store, as https://host or https://host:port. Required for S3Compatible;"
                            + " for AWS only where its usual address isn't used, as with a VPC endpoint. It can't change while"
                            + " rows use the backend.")
            @Default("\"\"")
            @Size(max = 512)
            @Pattern(Patterns.ENDPOINT)
            String endpoint,

            @JsonPropertyDescription("Whether the bucket's name goes into the path instead of the host name: needed by"
                    + " stores that have one host name for all buckets.")
            @Default("false")
            Boolean forcePathStyle) {

        public S3 {
            provider = provider == null ? Provider.AWS : provider;
            endpoint = endpoint == null ? "" : endpoint;
            forcePathStyle = forcePathStyle == null ? Boolean.FALSE : forcePathStyle;
        }
    }

    @JsonInclude(JsonInclude.Include.NON_NULL)
    public record Credentials(
            @Required
            @JsonPropertyDescription(
                    "The Secret that holds the access key, in the same namespace. It is looked at every"
                            + " minute, so a rotated key is used without more ado.")
            SecretRef secretRef) {}

    @JsonInclude(JsonInclude.Include.NON_NULL)
    public record SecretRef(
            @Required
            @JsonPropertyDescription("Name of the Secret.")
            @Size(min = 1, max = 253)
            @Pattern(Patterns.RESOURCE_NAME)
            String name,

            @JsonPropertyDescription("Key in the Secret under which the access key's id lies.")
            @Default("access-key-id")
            @Size(min = 1, max = 253)
            @Pattern(Patterns.SECRET_KEY)
            String accessKeyIdKey,

            @JsonPropertyDescription("Key in the Secret under which the secret access key lies.")
            @Default("secret-access-key")
            @Size(min = 1, max = 253)
            @Pattern(Patterns.SECRET_KEY)
            String secretAccessKeyKey) {

        public SecretRef {
            accessKeyIdKey = accessKeyIdKey == null ? "access-key-id" : accessKeyIdKey;
            secretAccessKeyKey = secretAccessKeyKey == null ? "secret-access-key" : secretAccessKeyKey;
        }
    }

    @JsonInclude(JsonInclude.Include.NON_NULL)
    public record Probe(
            @JsonPropertyDescription(
                    "Time between two probes, as 15m. A probe that fails later on never takes a backend"
                            + " out of the workload.")
            @Default("15m")
            @Pattern(Patterns.DURATION)
            @ValidationRule(
                    value = "duration(self) >= duration('1m')",
                    message = "spec.probe.interval is too short: each probe is a pod; write 1m or more")
            String interval,

            @JsonPropertyDescription("How long a probe may wait for the store, as 30s.")
            @Default("30s")
            @Pattern(Patterns.DURATION)
            @ValidationRule(
                    value = "duration(self) <= duration('10m')",
                    message = "spec.probe.timeout is too long: write 10m or less")
            String timeout) {

        public Probe {
            interval = interval == null ? "15m" : interval;
            timeout = timeout == null ? "30s" : timeout;
        }
    }
}
