package io.flynn.blobstore.testkit.cluster;

import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.server.Request;

/** A request over HTTP, decoded. */
record ApiRequest(
        String method,
        String path,
        Map<String, String> queries,
        String contentType,
        String accept,
        String user,
        String userAgent,
        String body) {

    private static final String BEARER = "Bearer ";

    static ApiRequest of(Request raw, String body) {
        Map<String, String> queries = new HashMap<>();
        Request.extractQueryParameters(raw).forEach(field -> queries.put(field.getName(), field.getValue()));
        String authorization = header(raw, HttpHeader.AUTHORIZATION);
        return new ApiRequest(
                raw.getMethod(),
                raw.getHttpURI().getDecodedPath(),
                queries,
                header(raw, HttpHeader.CONTENT_TYPE).split(";", 2)[0].strip(),
                header(raw, HttpHeader.ACCEPT),
                authorization.startsWith(BEARER) ? authorization.substring(BEARER.length()) : "anonymous",
                header(raw, HttpHeader.USER_AGENT),
                body);
    }

    /** Empty if it isn't there. */
    String query(String name) {
        return queries.getOrDefault(name, "");
    }

    List<String> segments() {
        return Arrays.stream(path.split("/"))
                .filter(segment -> !segment.isEmpty())
                .toList();
    }

    boolean isWatch() {
        return Boolean.parseBoolean(query("watch")) || query("watch").equals("1");
    }

    private static String header(Request raw, HttpHeader name) {
        String value = raw.getHeaders().get(name);
        return value == null ? "" : value;
    }
}
