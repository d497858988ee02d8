package io.flynn.blobstore.decide;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.blob.Secret;
import java.net.URI;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The only encoder and the only decoder of {@code BACKEND_*} and {@code DEFAULT_BACKEND}: the operator writes with it, server
 * and worker read with it. {@code decode(encode(x))} is {@code x}. Accepts what the old program wrote.
 *
 * <p>{@code BACKEND_<NAME>} holds tokens {@code key=value} split at single spaces; {@code BACKEND_<NAME>_<KEY>} sets one key
 * and wins over the token; its value is not split, and spaces in it are named instead of making other keys.
 *
 * @param backends those that can be used, by name
 * @param rejected those that can't, by name, and why: one wrong backend must not take the others down
 * @param defaultBackend where new blobs go
 */
public record BackendEnvironment(
        Map<BackendName, BackendSettings> backends, Map<BackendName, String> rejected, BackendName defaultBackend) {

    public static final String DEFAULT_VARIABLE = "DEFAULT_BACKEND";

    private static final Pattern WHOLE = Pattern.compile("BACKEND_([A-Z0-9]+)");
    private static final Pattern ONE_KEY = Pattern.compile("BACKEND_([A-Z0-9]+)_([A-Z0-9_]+)");

    public BackendEnvironment {
        backends = Map.copyOf(backends);
        rejected = Map.copyOf(rejected);
    }

    /**
     * One backend's variables: what may be read by anybody, and what must stay secret.
     *
     * @param variable {@code BACKEND_<NAME>}
     * @param settings its value: everything but the secrets
     * @param secrets by variable, {@code BACKEND_<NAME>_<KEY>}
     */
    public record Encoded(String variable, String settings, Map<String, Secret> secrets) {
        public Encoded {
            secrets = Map.copyOf(secrets);
        }
    }

    public static String accessKeyIdVariable(BackendName name) {
        return name.variable() + "_ACCESS_KEY_ID";
    }

    public static String secretAccessKeyVariable(BackendName name) {
        return name.variable() + "_SECRET_ACCESS_KEY";
    }

    public static Encoded encode(BackendSettings backend) {
        StringBuilder settings =
                new StringBuilder("backend=").append(backend.kind().name().toLowerCase(Locale.ROOT));
        switch (backend.kind()) {
            case S3 -> {
                settings.append(" region=").append(backend.region());
                settings.append(" bucket=").append(backend.bucket());
                backend.endpoint()
                        .ifPresent(uri -> settings.append(" endpoint=").append(uri));
                if (backend.pathStyle()) {
                    settings.append(" path_style=true");
                }
                if (backend.ec2Role()) {
                    settings.append(" ec2_role=true");
                }
            }
            case MINIO -> {
                URI endpoint = backend.endpoint().orElseThrow();
                settings.append(" endpoint=").append(endpoint.getRawAuthority());
                settings.append(" bucket=").append(backend.bucket());
                if (!backend.region().isEmpty()) {
                    settings.append(" location=").append(backend.region());
                }
                if (endpoint.getScheme().equals("http")) {
                    settings.append(" insecure=true");
                }
            }
        }
        return new Encoded(
                backend.name().variable(),
                settings.toString(),
                backend.ec2Role()
                        ? Map.of()
                        : Map.of(
                                accessKeyIdVariable(backend.name()), backend.accessKeyId(),
                                secretAccessKeyVariable(backend.name()), backend.secretAccessKey()));
    }

    /**
     * Never throws for a backend that can't be used: it is then among the {@link #rejected()}. A variable that is not ours
     * (Kubernetes injects {@code BACKEND_PORT=tcp://…} for a Service named {@code backend}) is ignored.
     *
     * @throws InvalidSettingException if {@code DEFAULT_BACKEND} is no backend's name
     */
    public static BackendEnvironment decode(Map<String, String> environment) {
        Map<BackendName, BackendSettings> backends = new LinkedHashMap<>();
        Map<BackendName, String> rejected = new LinkedHashMap<>();
        for (Map.Entry<String, String> variable : new TreeMap<>(environment).entrySet()) {
            Matcher name = WHOLE.matcher(variable.getKey());
            if (!name.matches() || isServiceLink(variable.getValue())) {
                continue;
            }
            if (name.group(1).length() > 40 || name.group(1).equals("POSTGRES")) {
                continue;
            }
            BackendName backend = new BackendName(name.group(1).toLowerCase(Locale.ROOT));
            try {
                backends.put(backend, settings(backend, keys(variable.getKey(), variable.getValue(), environment)));
            } catch (InvalidSettingException e) {
                rejected.put(backend, variable.getKey() + ": " + e.getMessage());
            }
        }
        return new BackendEnvironment(backends, rejected, defaultBackend(environment));
    }

    private static boolean isServiceLink(String value) {
        return value.startsWith("tcp://") || value.startsWith("udp://") || value.startsWith("sctp://");
    }

    private static BackendName defaultBackend(Map<String, String> environment) {
        String value = environment.getOrDefault(DEFAULT_VARIABLE, "");
        if (value.isEmpty()) {
            return BackendName.POSTGRES;
        }
        try {
            return new BackendName(value);
        } catch (IllegalArgumentException e) {
            throw new InvalidSettingException(DEFAULT_VARIABLE, "is no backend's name: " + e.getMessage());
        }
    }

    private static Map<String, String> keys(String variable, String value, Map<String, String> environment) {
        Map<String, String> keys = new TreeMap<>();
        for (String token : value.split(" ", -1)) {
            if (token.isEmpty()) {
                continue;
            }
            int equals = token.indexOf('=');
            if (equals < 0) {
                // The token may be a piece of a secret that held a space: it is not repeated.
                throw new InvalidSettingException(
                        "settings", "have a token without \"=\"; write key=value, with single spaces between");
            }
            keys.put(token.substring(0, equals), token.substring(equals + 1));
        }
        environment.forEach((name, separate) -> {
            Matcher one = ONE_KEY.matcher(name);
            if (one.matches() && variable.equals("BACKEND_" + one.group(1))) {
                keys.put(one.group(2).toLowerCase(Locale.ROOT), separate);
            }
        });
        return keys;
    }

    private static BackendSettings settings(BackendName name, Map<String, String> keys) {
        String kind = keys.getOrDefault("backend", "");
        boolean ec2Role = kind.equals("s3") && flag(keys, "ec2_role");
        // As the old program has it: a role makes it look at no key.
        Secret accessKeyId = new Secret(ec2Role ? "" : keys.getOrDefault("access_key_id", ""));
        Secret secretAccessKey = new Secret(ec2Role ? "" : keys.getOrDefault("secret_access_key", ""));
        String bucket = keys.getOrDefault("bucket", "");
        return switch (kind) {
            case "s3" ->
                new BackendSettings(
                        name,
                        BackendSettings.Kind.S3,
                        keys.getOrDefault("region", ""),
                        bucket,
                        Optional.ofNullable(keys.get("endpoint"))
                                .filter(text -> !text.isEmpty())
                                .map(BackendEnvironment::endpoint),
                        flag(keys, "path_style"),
                        accessKeyId,
                        secretAccessKey,
                        ec2Role);
            case "minio" ->
                new BackendSettings(
                        name,
                        BackendSettings.Kind.MINIO,
                        keys.getOrDefault("location", ""),
                        bucket,
                        Optional.ofNullable(keys.get("endpoint"))
                                .filter(text -> !text.isEmpty())
                                .map(host -> endpoint((flag(keys, "insecure") ? "http://" : "https://") + host)),
                        true,
                        accessKeyId,
                        secretAccessKey);
            case "" -> throw new InvalidSettingException("backend", "is missing; write backend=s3 or backend=minio");
            case "gcs", "azure" ->
                throw new InvalidSettingException(
                        "backend",
                        "is \"%s\", which the old program knew and this one does not: move its blobs to s3 or minio first"
                                .formatted(kind));
            default ->
                throw new InvalidSettingException(
                        "backend", "is \"%s\", which is not supported; use s3 or minio".formatted(kind));
        };
    }

    private static boolean flag(Map<String, String> keys, String key) {
        String value = keys.getOrDefault(key, "");
        return switch (value) {
            case "", "false" -> false;
            case "true" -> true;
            default -> throw new InvalidSettingException(key, "is neither true nor false");
        };
    }

    private static URI endpoint(String text) {
        try {
            URI uri = URI.create(text);
            if (uri.getHost() != null && ("https".equals(uri.getScheme()) || "http".equals(uri.getScheme()))) {
                return uri;
            }
        } catch (IllegalArgumentException e) {
            throw new InvalidSettingException("endpoint", "is no URL: write https://host or https://host:port");
        }
        throw new InvalidSettingException(
                "endpoint", "is no http or https URL: write https://host or https://host:port");
    }
}
