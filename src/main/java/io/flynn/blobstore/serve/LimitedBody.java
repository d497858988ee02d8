package io.flynn.blobstore.serve;

import java.io.IOException;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.io.Content;
import org.eclipse.jetty.server.Request;
import org.jspecify.annotations.Nullable;

/** A request whose body can't be read beyond what a blob may hold. */
final class LimitedBody extends Request.Wrapper {

    /** More came than was announced, or nothing was announced. */
    static final class TooLarge extends IOException {

        private static final long serialVersionUID = 1L;

        TooLarge() {
            super("the body is larger than a blob may be");
        }
    }

    private long left;
    private Content.@Nullable Chunk failure;

    private LimitedBody(Request request, long bytesMax) {
        super(request);
        left = bytesMax;
    }

    /**
     * The same request; reading on where the blob would get larger than {@code blobBytesMax} fails with {@link TooLarge}.
     *
     * @throws Refusal if its length says so already
     */
    static Request of(Request request, long blobBytesMax) {
        if (blobBytesMax == Long.MAX_VALUE) {
            return request;
        }
        String offset = request.getHeaders().get("Blobstore-Offset");
        // Whether it is right, the append finds out.
        long present = offset != null && offset.matches("\\d{1,18}") ? Long.parseLong(offset) : 0;
        long bytesMax = Math.max(0, blobBytesMax - present);
        if (request.getHeaders().getLongField(HttpHeader.CONTENT_LENGTH) > bytesMax) {
            throw tooLarge(blobBytesMax);
        }
        return new LimitedBody(request, bytesMax);
    }

    static Refusal tooLarge(long blobBytesMax) {
        return new Refusal(
                413,
                "the blob would be larger than %d bytes, the most that this server takes (BLOBSTORE_MAX_BLOB_SIZE)"
                        .formatted(blobBytesMax));
    }

    @Override
    public Content.@Nullable Chunk read() {
        if (failure != null) {
            return failure;
        }
        Content.Chunk chunk = super.read();
        if (chunk == null || Content.Chunk.isFailure(chunk)) {
            return chunk;
        }
        left -= chunk.remaining();
        if (left >= 0) {
            return chunk;
        }
        chunk.release();
        failure = Content.Chunk.from(new TooLarge(), true);
        return failure;
    }
}
