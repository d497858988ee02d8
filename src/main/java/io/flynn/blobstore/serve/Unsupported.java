package io.flynn.blobstore.serve;

import java.util.List;
import org.eclipse.jetty.http.HttpFields;

/** What a client may ask for by a header and this server does not do: refused, since ignoring it would do something else. */
final class Unsupported {

    private static final List<String> HEADERS = List.of(
            "Blobstore-Copy-From",
            "Blobstore-Offset",
            "Content-Range",
            "If-Match",
            "If-None-Match",
            "If-Unmodified-Since");

    private Unsupported() {}

    /** @throws Refusal if a request that changes something asks for more than changing it */
    static void refuse(HttpFields headers) {
        for (String header : HEADERS) {
            String value = headers.get(header);
            // Offset 0 has always meant a plain upload.
            boolean isPlain = header.equals("Blobstore-Offset") && "0".equals(value);
            if (value != null && !isPlain) {
                throw new Refusal(501, header + " is not supported by this server on requests that change something");
            }
        }
    }
}
