package io.flynn.blobstore.serve;

import io.flynn.blobstore.blob.BlobVersion;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.UUID;
import java.util.regex.Pattern;

/** Several ranges of a blob as one body of type {@code multipart/byteranges} (RFC 9110, section 14.6). */
final class MultipartRanges {

    /** What may stand in a line of its own; a row's type is whatever a client once sent. */
    private static final Pattern SENDABLE = Pattern.compile("[\\t\\x20-\\x7E\\x80-\\xFF]+");

    /** Nobody who stored a blob can have known it. */
    private final String boundary = UUID.randomUUID().toString();

    private final List<ByteRange> ranges;
    private final BlobVersion version;

    MultipartRanges(List<ByteRange> ranges, BlobVersion version) {
        this.ranges = ranges;
        this.version = version;
    }

    /** The body's content type. */
    String type() {
        return "multipart/byteranges; boundary=" + boundary;
    }

    /** The body's, in bytes. */
    long length() {
        return ranges.stream()
                        .mapToLong(range -> head(range).length + range.length())
                        .sum()
                + end().length;
    }

    /**
     * Where to write the range's bytes: what goes before them is written with the first, so that a failure to read them can
     * still be told.
     */
    OutputStream headed(ByteRange range, OutputStream target) {
        return new OutputStream() {
            private boolean isHeaded;

            @Override
            public void write(int b) throws IOException {
                write(new byte[] {(byte) b}, 0, 1);
            }

            @Override
            public void write(byte[] bytes, int offset, int length) throws IOException {
                if (!isHeaded) {
                    isHeaded = true;
                    target.write(head(range));
                }
                target.write(bytes, offset, length);
            }
        };
    }

    /** What goes behind the last range. */
    byte[] end() {
        return bytes("\r\n--" + boundary + "--\r\n");
    }

    private byte[] head(ByteRange range) {
        String sent = ContentType.sent(version.type());
        String type = SENDABLE.matcher(sent).matches() ? "Content-Type: " + sent + "\r\n" : "";
        return bytes(
                "\r\n--" + boundary + "\r\n" + type + "Content-Range: " + range.header(version.size()) + "\r\n\r\n");
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.ISO_8859_1);
    }
}
