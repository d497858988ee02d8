package io.flynn.blobstore.serve;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** An answer of several ranges, built once more by the letter of RFC 9110, section 14.6. */
record MultipartBody(HttpResponse<byte[]> response, String boundary) {

    static MultipartBody of(HttpResponse<byte[]> response) {
        assertThat(response.statusCode()).isEqualTo(206);
        assertThat(response.headers().firstValue("Content-Range")).isEmpty();
        String type = response.headers().firstValue("Content-Type").orElseThrow();
        assertThat(type).startsWith("multipart/byteranges; boundary=");
        return new MultipartBody(response, type.substring("multipart/byteranges; boundary=".length()));
    }

    /** @param ranges first and last positions, in order, such as {@code 0-1 3-4} */
    void assertIs(byte[] whole, String type, String ranges) {
        StringBuilder body = new StringBuilder();
        for (String range : ranges.split(" ", -1)) {
            String[] ends = range.split("-", 2);
            body.append("\r\n--").append(boundary).append("\r\nContent-Type: ").append(type);
            body.append("\r\nContent-Range: bytes ")
                    .append(range)
                    .append('/')
                    .append(whole.length)
                    .append("\r\n\r\n");
            byte[] part = Arrays.copyOfRange(whole, Integer.parseInt(ends[0]), Integer.parseInt(ends[1]) + 1);
            body.append(new String(part, StandardCharsets.ISO_8859_1));
        }
        body.append("\r\n--").append(boundary).append("--\r\n");
        assertThat(new String(response.body(), StandardCharsets.ISO_8859_1)).isEqualTo(body.toString());
        assertThat(response.headers().firstValueAsLong("Content-Length")).hasValue(response.body().length);
    }
}
