package io.flynn.blobstore.operate;

import io.fabric8.kubernetes.api.model.Secret;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.flynn.blobstore.api.v1alpha1.BlobstoreBackend;
import io.flynn.blobstore.api.v1alpha1.BlobstoreBackendSpec;
import io.flynn.blobstore.api.v1alpha1.BlobstoreBackendSpec.SecretRef;
import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.decide.BackendEnvironment;
import io.flynn.blobstore.decide.BackendEnvironment.Encoded;
import io.flynn.blobstore.decide.BackendRule;
import io.flynn.blobstore.decide.InvalidSettingException;
import io.flynn.blobstore.decide.Obstacle;
import io.flynn.blobstore.decide.Reasons;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Map;
import java.util.Optional;

/** The one Secret of the user's that is ever read: the one that a resource names, by its name. Its values are never printed. */
sealed interface CredentialsSecret {

    /** @param encoded all of the backend's configuration, with the access key */
    record Usable(Encoded encoded) implements CredentialsSecret {}

    record Unusable(Obstacle obstacle) implements CredentialsSecret {}

    static CredentialsSecret read(KubernetesClient client, BlobstoreBackend resource, BackendName name) {
        SecretRef ref = resource.getSpec().credentials().secretRef();
        Secret secret = client.secrets()
                .inNamespace(resource.getMetadata().getNamespace())
                .withName(ref.name())
                .get();
        return Optional.ofNullable(secret)
                .map(present -> of(present, resource.getSpec(), name))
                .orElseGet(() -> new Unusable(Obstacle.waiting(
                        Reasons.SECRET_MISSING,
                        "Secret \"%s\" doesn't exist in this namespace: create it with the keys \"%s\" and \"%s\", or correct spec.credentials.secretRef.name"
                                .formatted(ref.name(), ref.accessKeyIdKey(), ref.secretAccessKeyKey()))));
    }

    private static CredentialsSecret of(Secret secret, BlobstoreBackendSpec spec, BackendName name) {
        SecretRef ref = spec.credentials().secretRef();
        Map<String, String> data = Optional.ofNullable(secret.getData()).orElse(Map.of());
        for (String key : new String[] {ref.accessKeyIdKey(), ref.secretAccessKeyKey()}) {
            if (data.getOrDefault(key, "").isEmpty()) {
                return new Unusable(Obstacle.person(
                        Reasons.SECRET_KEY_MISSING,
                        "Secret \"%s\" has no value under the key \"%s\": add it, or correct the key's name in spec.credentials.secretRef"
                                .formatted(ref.name(), key)));
            }
        }
        try {
            return new Usable(BackendEnvironment.encode(BackendRule.settings(
                    name.value(),
                    BackendGatherer.location(spec),
                    spec.s3().forcePathStyle(),
                    value(data, ref.accessKeyIdKey()),
                    value(data, ref.secretAccessKeyKey()))));
        } catch (InvalidSettingException e) {
            // Only the two secrets can be wrong by now; the message names which, never what.
            return new Unusable(Obstacle.person(
                    Reasons.CREDENTIALS_INVALID, "Secret \"%s\": its %s".formatted(ref.name(), e.getMessage())));
        }
    }

    private static io.flynn.blobstore.blob.Secret value(Map<String, String> data, String key) {
        return new io.flynn.blobstore.blob.Secret(
                new String(Base64.getDecoder().decode(data.getOrDefault(key, "")), StandardCharsets.UTF_8));
    }
}
