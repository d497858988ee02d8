package io.flynn.blobstore.testkit.cluster;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.List;
import java.util.stream.Collectors;

/** A request that the API server refuses: becomes a {@code Status} with the code, reason and message that Kubernetes answers. */
final class ApiFailure extends RuntimeException {

    private static final long serialVersionUID = 1;

    /** What is wrong with one field; {@code reason} as in {@code metav1.CauseType}. */
    record Cause(String reason, String field, String message) {

        static Cause required(String field) {
            return new Cause("FieldValueRequired", field, "Required value");
        }

        /** @param value as JSON; empty to leave it out of the message */
        static Cause invalid(String field, String value, String detail) {
            String shown = value.isEmpty() ? "" : value + ": ";
            return new Cause("FieldValueInvalid", field, "Invalid value: " + shown + detail);
        }

        static Cause forbidden(String field, String detail) {
            return new Cause("FieldValueForbidden", field, "Forbidden: " + detail);
        }
    }

    private final int code;
    private final String reason;
    private final transient ObjectNode details;

    private ApiFailure(int code, String reason, String message, ObjectNode details) {
        super(message);
        this.code = code;
        this.reason = reason;
        this.details = details;
    }

    static ApiFailure badRequest(String message) {
        return new ApiFailure(400, "BadRequest", message, Json.object());
    }

    static ApiFailure noSuchPath(String path) {
        return new ApiFailure(
                404, "NotFound", "the server could not find the requested resource: " + path, Json.object());
    }

    static ApiFailure notFound(ResourceType type, String name) {
        return new ApiFailure(
                404, "NotFound", "%s \"%s\" not found".formatted(type.qualifiedPlural(), name), details(type, name));
    }

    static ApiFailure alreadyExists(ResourceType type, String name) {
        return new ApiFailure(
                409,
                "AlreadyExists",
                "%s \"%s\" already exists".formatted(type.qualifiedPlural(), name),
                details(type, name));
    }

    static ApiFailure modified(ResourceType type, String name) {
        return conflict(
                type,
                name,
                "the object has been modified; please apply your changes to the latest version and try again");
    }

    static ApiFailure conflict(ResourceType type, String name, String why) {
        return new ApiFailure(
                409,
                "Conflict",
                "Operation cannot be fulfilled on %s \"%s\": %s".formatted(type.qualifiedPlural(), name, why),
                details(type, name));
    }

    /** Server-side apply met fields of other managers. */
    static ApiFailure applyConflict(String message, List<Cause> causes) {
        return new ApiFailure(409, "Conflict", message, withCauses(Json.object(), causes));
    }

    static ApiFailure invalid(ResourceType type, String name, List<Cause> causes) {
        String all = causes.stream()
                .map(cause -> cause.field().isEmpty() ? cause.message() : cause.field() + ": " + cause.message())
                .collect(Collectors.joining(", "));
        return new ApiFailure(
                422,
                "Invalid",
                "%s \"%s\" is invalid: %s"
                        .formatted(type.qualifiedKind(), name, causes.size() == 1 ? all : "[" + all + "]"),
                withCauses(details(type, name), causes));
    }

    static ApiFailure forbidden(ResourceType type, String name, String why) {
        return new ApiFailure(
                403,
                "Forbidden",
                "%s \"%s\" is forbidden: %s".formatted(type.qualifiedPlural(), name, why),
                details(type, name));
    }

    static ApiFailure gone(String message) {
        return new ApiFailure(410, "Expired", message, Json.object());
    }

    static ApiFailure unsupportedMediaType(String contentType) {
        return new ApiFailure(
                415,
                "UnsupportedMediaType",
                "LocalCluster does not accept \"%s\" here".formatted(contentType),
                Json.object());
    }

    /** Kubernetes can do it, LocalCluster can't: loud, so that no test passes by it. */
    static ApiFailure notImplemented(String what) {
        return new ApiFailure(501, "NotImplemented", "LocalCluster does not implement " + what, Json.object());
    }

    /** A failure that a test asked for. */
    static ApiFailure injected(int code) {
        return new ApiFailure(code, code == 409 ? "Conflict" : "InternalError", "injected failure", Json.object());
    }

    int code() {
        return code;
    }

    String reason() {
        return reason;
    }

    ObjectNode status() {
        ObjectNode status = Json.object()
                .put("kind", "Status")
                .put("apiVersion", "v1")
                .put("status", "Failure")
                .put("message", getMessage())
                .put("reason", reason)
                .put("code", code);
        status.set("metadata", Json.object());
        status.set("details", details);
        return status;
    }

    private static ObjectNode details(ResourceType type, String name) {
        return Json.object().put("name", name).put("group", type.group()).put("kind", type.plural());
    }

    private static ObjectNode withCauses(ObjectNode details, List<Cause> causes) {
        var array = details.putArray("causes");
        causes.forEach(cause -> array.addObject()
                .put("reason", cause.reason())
                .put("message", cause.message())
                .put("field", cause.field()));
        return details;
    }
}
