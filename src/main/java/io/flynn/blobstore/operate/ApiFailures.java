package io.flynn.blobstore.operate;

import io.fabric8.kubernetes.api.model.Status;
import io.fabric8.kubernetes.api.model.StatusDetails;
import io.fabric8.kubernetes.client.KubernetesClientException;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** What the API server's failures mean to a reconciler. */
final class ApiFailures {

    private static final int TOO_MANY_REQUESTS = 429;

    /** It quotes the object; the beginning says what is wrong. */
    private static final int MESSAGE_LENGTH_MAX = 512;

    /** As the API server words a cause: conflict with "helm" using apps/v1. */
    private static final Pattern MANAGER = Pattern.compile("conflict with \"([^\"]+)\"");

    private ApiFailures() {}

    /**
     * The API server's own words for not taking a request as it is.
     *
     * @throws KubernetesClientException {@code failure}, if the request was not judged: then the same one may be taken later
     */
    static String refusal(KubernetesClientException failure) {
        boolean judged = failure.getCode() >= 400 && failure.getCode() < 500 && failure.getCode() != TOO_MANY_REQUESTS;
        if (!judged) {
            throw failure;
        }
        return words(failure);
    }

    /** The field that another manager holds, and its name, if that is why a server-side apply failed. */
    static Optional<FieldConflict> fieldConflict(KubernetesClientException failure) {
        return Optional.ofNullable(failure.getStatus())
                .map(Status::getDetails)
                .map(StatusDetails::getCauses)
                .flatMap(causes -> causes.stream()
                        .filter(cause -> "FieldManagerConflict".equals(cause.getReason()))
                        .findFirst())
                .map(cause -> {
                    Matcher manager = MANAGER.matcher(String.valueOf(cause.getMessage()));
                    return new FieldConflict(
                            String.valueOf(cause.getField()), manager.find() ? manager.group(1) : "somebody else");
                });
    }

    record FieldConflict(String field, String manager) {}

    static String words(KubernetesClientException failure) {
        String said = failure.getStatus() == null || failure.getStatus().getMessage() == null
                ? "the API server answered with %d".formatted(failure.getCode())
                : failure.getStatus().getMessage();
        String line = said.replaceAll("\\s+", " ").strip();
        return line.length() <= MESSAGE_LENGTH_MAX ? line : line.substring(0, MESSAGE_LENGTH_MAX - 1) + "…";
    }
}
