package io.flynn.blobstore.operate;

import io.fabric8.kubernetes.api.model.Secret;
import io.fabric8.kubernetes.api.model.SecretBuilder;
import io.flynn.blobstore.decide.BackendEnvironment.Encoded;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * One revision of a backend's configuration, in an immutable Secret that is named by its content. Each names those before
 * it, so that all can be found again without the right to list Secrets: one, or more if it was returned to.
 *
 * <p>It has no owner: with {@code deletionPolicy: Orphan} the Deployment goes on referring to it after the resource is gone.
 * The finalizer deletes it otherwise.
 */
final class ConfigSecret {

    static final String PREVIOUS = "config.blobstore.flynn.io/previous";

    private static final int HASH_LENGTH = 10;

    private ConfigSecret() {}

    /** Salted with the resource's uid: the name must not tell whether two backends have the same key. */
    static String hash(String uid, Encoded encoded) {
        try {
            MessageDigest sha256 = MessageDigest.getInstance("SHA-256");
            sha256.update((uid + "\0").getBytes(StandardCharsets.UTF_8));
            values(encoded)
                    .forEach((variable, value) ->
                            sha256.update((variable + "\0" + value + "\0").getBytes(StandardCharsets.UTF_8)));
            return HexFormat.of().formatHex(sha256.digest()).substring(0, HASH_LENGTH);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java has SHA-256", e);
        }
    }

    static Secret build(BackendFields fields, String namespace, String hash, Encoded encoded, List<String> previous) {
        Map<String, String> data = new TreeMap<>();
        values(encoded)
                .forEach((variable, value) ->
                        data.put(variable, Base64.getEncoder().encodeToString(value.getBytes(StandardCharsets.UTF_8))));
        return new SecretBuilder()
                .withNewMetadata()
                .withName(fields.secretName(hash))
                .withNamespace(namespace)
                .withLabels(new TreeMap<>(
                        Map.of(Labels.MANAGED_BY, Labels.OPERATOR, Labels.BACKEND, Labels.value(fields.resource()))))
                .withAnnotations(previous.isEmpty() ? null : Map.of(PREVIOUS, String.join(",", previous)))
                .endMetadata()
                .withType("Opaque")
                .withImmutable(true)
                .withData(data)
                .build();
    }

    /** The names of those before it, nearest first. */
    static List<String> previous(Secret secret) {
        return Optional.ofNullable(secret.getMetadata().getAnnotations())
                .map(annotations -> annotations.get(PREVIOUS))
                .map(names -> List.of(names.split(",")))
                .orElse(List.of());
    }

    static Secret withPrevious(Secret secret, List<String> previous) {
        return new SecretBuilder(secret)
                .editMetadata()
                .addToAnnotations(PREVIOUS, String.join(",", previous))
                .endMetadata()
                .build();
    }

    private static Map<String, String> values(Encoded encoded) {
        Map<String, String> values = new TreeMap<>();
        values.put(encoded.variable(), encoded.settings());
        encoded.secrets().forEach((variable, secret) -> values.put(variable, secret.reveal()));
        return values;
    }
}
