package io.flynn.blobstore.operate;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.List;

/** The least that a blobstore needs to be allowed on its bucket: what each role of ours calls, and nothing else. */
final class IamPolicy {

    /** Uploads in parts are listed and aborted when one breaks. */
    private static final List<String> ON_BUCKET = List.of("s3:ListBucket", "s3:ListBucketMultipartUploads");

    private static final List<String> ON_OBJECTS = List.of(
            "s3:AbortMultipartUpload",
            "s3:DeleteObject",
            "s3:GetObject",
            "s3:ListMultipartUploadParts",
            "s3:PutObject");

    private IamPolicy() {}

    static String of(String bucket) {
        ObjectNode policy = JsonNodeFactory.instance.objectNode().put("Version", "2012-10-17");
        ArrayNode statements = policy.putArray("Statement");
        statements.add(statement(ON_BUCKET, "arn:aws:s3:::" + bucket));
        statements.add(statement(ON_OBJECTS, "arn:aws:s3:::" + bucket + "/*"));
        return policy.toPrettyString();
    }

    private static ObjectNode statement(List<String> actions, String resource) {
        ObjectNode statement = JsonNodeFactory.instance.objectNode().put("Effect", "Allow");
        ArrayNode list = statement.putArray("Action");
        actions.forEach(list::add);
        return statement.put("Resource", resource);
    }
}
