package io.flynn.blobstore.serve;

import io.flynn.blobstore.blob.BlobName;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import org.eclipse.jetty.util.URIUtil;

/** What a request is about, from its target as it came: decoded once, then cleaned, as the deployed servers do. */
final class RequestTarget {

    private RequestTarget() {}

    /** Jetty's, for bytes that are not UTF-8: any two of those would be one name. */
    private static final char NOT_UTF8 = '\uFFFD';

    /** @throws Refusal if it is no path, or not UTF-8 once decoded */
    static BlobName name(String rawPath) {
        return clean(decode(rawPath, false));
    }

    /**
     * The same from a header's value.
     *
     * @param value a byte a character
     */
    static BlobName nameInHeader(String value) {
        return clean(decode(value.getBytes(StandardCharsets.ISO_8859_1), false));
    }

    /**
     * The same target with a path that is clean.
     *
     * @throws Refusal if its path is none, or not UTF-8 once decoded
     */
    static String cleaned(String target) {
        int query = target.indexOf('?');
        String path = query < 0 ? target : target.substring(0, query);
        return URIUtil.encodePath(name(path).value()) + (query < 0 ? "" : target.substring(query));
    }

    /**
     * The directory to list: the first {@code dir} of the query, the root if there is none.
     *
     * @param rawQuery without the question mark
     * @return empty for a directory that no name can lie in
     * @throws Refusal if it is not UTF-8 once decoded
     */
    static Optional<BlobName> directory(String rawQuery) {
        for (String pair : rawQuery.split("&", -1)) {
            int equals = pair.indexOf('=');
            String key = equals < 0 ? pair : pair.substring(0, equals);
            if (decode(key, true).equals("dir")) {
                String directory = equals < 0 ? "" : decode(pair.substring(equals + 1), true);
                if (directory.isEmpty()) {
                    return Optional.of(BlobName.ROOT);
                }
                return directory.startsWith("/") ? Optional.of(clean(directory)) : Optional.empty();
            }
        }
        return Optional.of(BlobName.ROOT);
    }

    private static BlobName clean(String path) {
        try {
            return BlobName.of(path);
        } catch (IllegalArgumentException e) {
            throw new Refusal(400, "the path must begin with a slash and can't hold %00");
        }
    }

    private static String decode(String raw, boolean isQuery) {
        if (raw.indexOf(NOT_UTF8) >= 0) {
            throw new Refusal(400, "the path is not UTF-8: percent-encode its bytes, as U+FFFD itself must be");
        }
        return decode(raw.getBytes(StandardCharsets.UTF_8), isQuery);
    }

    private static String decode(byte[] bytes, boolean isQuery) {
        ByteArrayOutputStream decoded = new ByteArrayOutputStream(bytes.length);
        for (int i = 0; i < bytes.length; i++) {
            if (bytes[i] == '%') {
                if (i + 2 >= bytes.length) {
                    throw badEscape();
                }
                decoded.write(hex(bytes[i + 1]) << 4 | hex(bytes[i + 2]));
                i += 2;
            } else {
                decoded.write(isQuery && bytes[i] == '+' ? ' ' : bytes[i]);
            }
        }
        try {
            return StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(ByteBuffer.wrap(decoded.toByteArray()))
                    .toString();
        } catch (CharacterCodingException e) {
            throw new Refusal(400, "the path is not UTF-8 once its percent-escapes are decoded");
        }
    }

    private static int hex(byte digit) {
        int value = Character.digit(digit, 16);
        if (value < 0) {
            throw badEscape();
        }
        return value;
    }

    private static Refusal badEscape() {
        return new Refusal(400, "a % in the path must be followed by two hexadecimal digits; write %25 for a % itself");
    }
}
