package io.flynn.blobstore.store.s3;

import io.flynn.blobstore.store.StorageFailure;
import java.io.InputStream;
import java.util.function.LongFunction;

/**
 * An object's bytes, read on over another connection where one breaks: stores and the SDK end a transfer that stands still for
 * half a minute, and a client may pause for longer. For one thread; closing it before the end breaks the transfer off.
 *
 * <p>Reading blocks and throws {@link StorageFailure} when the store fails twice without a byte in between.
 */
final class ResumedObject extends InputStream {

    private final long length;
    private final LongFunction<ObjectBytes> rest;
    private ObjectBytes current;
    private long read;
    private boolean mayResume;

    /**
     * @param first all of the bytes
     * @param rest opens those that are left when so many have been read
     */
    ResumedObject(ObjectBytes first, long length, LongFunction<ObjectBytes> rest) {
        current = first;
        this.length = length;
        this.rest = rest;
    }

    @Override
    public int read() {
        byte[] one = new byte[1];
        return read(one, 0, 1) < 0 ? -1 : one[0] & 0xFF;
    }

    @Override
    public int read(byte[] target, int offset, int count) {
        while (true) {
            try {
                int taken = current.read(target, offset, count);
                if (taken > 0) {
                    read += taken;
                    mayResume = true;
                }
                return taken;
            } catch (StorageFailure e) {
                resume(e);
            }
        }
    }

    private void resume(StorageFailure failure) {
        if (!failure.isTransient() || !mayResume || read >= length) {
            throw failure;
        }
        mayResume = false;
        current.close();
        try {
            current = rest.apply(read);
        } catch (StorageFailure e) {
            e.addSuppressed(failure);
            throw e;
        }
    }

    @Override
    public void close() {
        current.close();
    }
}
