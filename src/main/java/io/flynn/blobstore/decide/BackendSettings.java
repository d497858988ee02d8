package io.flynn.blobstore.decide;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.blob.Secret;
import java.net.URI;
import java.util.Locale;
import java.util.Optional;

/**
 * One external backend, as {@code BACKEND_*} describes it: all that is needed to open it. Settings that hold what the
 * variables can't carry are refused, so {@link BackendEnvironment} always decodes what it encoded.
 *
 * @param region empty only for {@code minio}, which then signs for {@code us-east-1}
 * @param endpoint scheme, host and port; empty = AWS, by the region
 * @param pathStyle bucket in the path instead of the host name
 * @param ec2Role the key is that of the role of the EC2 instance that this runs on; both secrets are empty then
 */
public record BackendSettings(
        BackendName name,
        Kind kind,
        String region,
        String bucket,
        Optional<URI> endpoint,
        boolean pathStyle,
        Secret accessKeyId,
        Secret secretAccessKey,
        boolean ec2Role) {

    public enum Kind {
        S3,
        MINIO
    }

    private static final String AWS = "AWS";

    /** @throws InvalidSettingException if a value is missing or can't be carried; the message names its key, never a secret */
    public BackendSettings {
        if (!name.isExternal()) {
            throw new InvalidSettingException("backend", "\"postgres\" is the database itself and needs no settings");
        }
        requireText("bucket", bucket);
        if (kind == Kind.S3) {
            requireText("region", region);
        } else if (!region.isEmpty()) {
            requireText("location", region);
        }
        if (kind == Kind.MINIO && endpoint.isEmpty()) {
            throw new InvalidSettingException("endpoint", "is missing: a minio backend needs host:port");
        }
        endpoint.ifPresent(uri -> requireText("endpoint", uri.toString()));
        if (ec2Role) {
            requireNone("access_key_id", accessKeyId);
            requireNone("secret_access_key", secretAccessKey);
        } else {
            requireSecret("access_key_id", accessKeyId);
            requireSecret("secret_access_key", secretAccessKey);
        }
    }

    /** With a key of its own. */
    public BackendSettings(
            BackendName name,
            Kind kind,
            String region,
            String bucket,
            Optional<URI> endpoint,
            boolean pathStyle,
            Secret accessKeyId,
            Secret secretAccessKey) {
        this(name, kind, region, bucket, endpoint, pathStyle, accessKeyId, secretAccessKey, false);
    }

    /**
     * Whether both surely name one bucket. Two addresses of one store can't be told by their names: who is about to delete has to
     * look.
     */
    public boolean isBucketOf(BackendSettings other) {
        return bucket.equals(other.bucket) && address().equals(other.address());
    }

    /** Names of buckets are unique among all of AWS' regions. */
    private String address() {
        if (endpoint.isEmpty()) {
            return AWS;
        }
        URI uri = endpoint.get();
        String host = uri.getHost().toLowerCase(Locale.ROOT);
        if (host.equals("amazonaws.com") || host.endsWith(".amazonaws.com")) {
            return AWS;
        }
        int defaultPort = "http".equals(uri.getScheme()) ? 80 : 443;
        return host + ":" + (uri.getPort() < 0 ? defaultPort : uri.getPort());
    }

    private static void requireText(String key, String value) {
        if (value.isEmpty()) {
            throw new InvalidSettingException(key, "is missing");
        }
        if (value.chars().anyMatch(BackendSettings::breaksSettings)) {
            throw new InvalidSettingException(key, "holds a space, a newline or a control character; remove it");
        }
        if (value.contains("$(")) {
            throw new InvalidSettingException(key, "holds \"$(\", which Kubernetes would expand; remove it");
        }
    }

    private static void requireNone(String key, Secret secret) {
        if (!secret.reveal().isEmpty()) {
            throw new InvalidSettingException(key, "is set beside ec2_role; use one of them");
        }
    }

    private static void requireSecret(String key, Secret secret) {
        String value = secret.reveal();
        if (value.isEmpty()) {
            throw new InvalidSettingException(key, "is empty");
        }
        if (value.chars().anyMatch(BackendSettings::breaksSettings)) {
            throw new InvalidSettingException(
                    key, "holds a space, a newline or a control character; write it again, without echo's newline");
        }
    }

    /** Settings are split at spaces, and a variable's last newline is easily somebody's {@code echo}. */
    private static boolean breaksSettings(int character) {
        return character <= ' ' || character == 0x7F || Character.isSpaceChar(character);
    }
}
