package io.flynn.blobstore.serve;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;

/**
 * A blob's content type between its header and its row. Headers are bytes, of which Jetty makes characters one by one; rows hold
 * text. The deployed servers put a header's bytes into the row as they are, so what they stored is UTF-8, and is sent as such.
 */
final class ContentType {

    private ContentType() {}

    /**
     * What to store: the header's bytes as UTF-8. Others, which the database can't hold, are taken for ISO 8859-1, and so come back
     * as the same text in UTF-8.
     *
     * @param header a byte a character
     */
    static String stored(String header) {
        try {
            return StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(ByteBuffer.wrap(header.getBytes(StandardCharsets.ISO_8859_1)))
                    .toString();
        } catch (CharacterCodingException e) {
            return header;
        }
    }

    /** The header of a type as a row has it: a byte a character. */
    static String sent(String type) {
        return new String(type.getBytes(StandardCharsets.UTF_8), StandardCharsets.ISO_8859_1);
    }
}
