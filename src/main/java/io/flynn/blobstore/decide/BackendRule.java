package io.flynn.blobstore.decide;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.blob.Secret;
import java.net.URI;
import java.util.Map;
import java.util.Optional;

/**
 * What is wrong with a backend's spec, if anything. The schema says most of it already, but an older one may be installed, and
 * whether an endpoint is allowed depends on the operator's settings.
 */
public final class BackendRule {

    private static final Secret ANY = new Secret("x");

    private BackendRule() {}

    /**
     * @param backendName as rows are to have it
     * @param aws whether the store is Amazon's
     * @param location bucket, region and endpoint; the endpoint may be empty
     * @param insecureAllowed the operator's setting
     */
    public static Optional<Obstacle> problem(
            String backendName, boolean aws, BackendFacts.Location location, boolean insecureAllowed) {
        return name(backendName)
                .or(() -> endpoint(aws, location.endpoint(), insecureAllowed))
                .or(() -> text(backendName, location));
    }

    private static Optional<Obstacle> name(String backendName) {
        try {
            return new BackendName(backendName).isExternal()
                    ? Optional.empty()
                    : invalid(
                            "spec.backendName \"postgres\" is the database itself: choose another name, as in s3main");
        } catch (IllegalArgumentException e) {
            return invalid("spec.backendName (metadata.name if unset) \"%s\": use 1 to 40 of a-z and 0-9, as in s3main"
                    .formatted(printable(backendName)));
        }
    }

    private static Optional<Obstacle> endpoint(boolean aws, String endpoint, boolean insecureAllowed) {
        if (endpoint.isEmpty()) {
            return aws
                    ? Optional.empty()
                    : invalid(
                            "spec.s3.endpoint is missing: provider S3Compatible needs https://host or https://host:port");
        }
        if (aws && endpoint.startsWith("http:")) {
            return refused(
                    "\"%s\" is http, which AWS is never reached by: write https://, leave the endpoint out, or set"
                                    .formatted(printable(endpoint))
                            + " spec.s3.provider to S3Compatible");
        }
        return EndpointRule.problem(endpoint, insecureAllowed).flatMap(BackendRule::refused);
    }

    private static Optional<Obstacle> refused(String problem) {
        return Optional.of(Obstacle.person(Reasons.ENDPOINT_REFUSED, "spec.s3.endpoint " + problem));
    }

    private static Optional<Obstacle> text(String backendName, BackendFacts.Location location) {
        try {
            settings(backendName, location, false, ANY, ANY);
            return Optional.empty();
        } catch (InvalidSettingException e) {
            Map<String, String> values = Map.of("bucket", location.bucket(), "region", location.region());
            return invalid(
                    "spec.s3.%s; it is \"%s\"".formatted(e.getMessage(), printable(values.getOrDefault(e.key(), ""))));
        }
    }

    /** The settings that a pod of the workload gets. @throws InvalidSettingException if they can't be carried */
    public static BackendSettings settings(
            String backendName,
            BackendFacts.Location location,
            boolean pathStyle,
            Secret accessKeyId,
            Secret secretAccessKey) {
        return new BackendSettings(
                new BackendName(backendName),
                BackendSettings.Kind.S3,
                location.region(),
                location.bucket(),
                Optional.of(location.endpoint())
                        .filter(endpoint -> !endpoint.isEmpty())
                        .map(URI::create),
                pathStyle,
                accessKeyId,
                secretAccessKey);
    }

    private static String printable(String text) {
        return text.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t");
    }

    private static Optional<Obstacle> invalid(String message) {
        return Optional.of(Obstacle.person(Reasons.SPEC_INVALID, message));
    }
}
