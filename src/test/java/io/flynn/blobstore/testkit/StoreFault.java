package io.flynn.blobstore.testkit;

import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import software.amazon.awssdk.awscore.exception.AwsErrorDetails;
import software.amazon.awssdk.awscore.exception.AwsServiceException;
import software.amazon.awssdk.services.s3.model.S3Exception;

/** What goes wrong with one exchange with a {@link LocalS3}: every part does nothing unless it is told otherwise. */
public interface StoreFault {

    StoreFault NONE = new StoreFault() {};

    /** Before anything is done; may throw what is answered instead. */
    default void before() {}

    /** The body that is stored. */
    default InputStream stored(InputStream sent) {
        return sent;
    }

    /** The body that is answered. */
    default InputStream answered(InputStream body) {
        return body;
    }

    /** Once it is done. */
    default void after() {}

    /** Refused, with nothing done. */
    static StoreFault status(int status, String code) {
        return new StoreFault() {
            @Override
            public void before() {
                throw failure(status, code);
            }
        };
    }

    /** Every body has one bit that is another. */
    static StoreFault flippedBit() {
        return new StoreFault() {
            @Override
            public InputStream stored(InputStream sent) {
                return new FirstByte(sent);
            }

            @Override
            public InputStream answered(InputStream body) {
                return new FirstByte(body);
            }
        };
    }

    /** Every body that is answered breaks off before its end. */
    static StoreFault truncatedAnswer(int bytes) {
        return new StoreFault() {
            @Override
            public InputStream answered(InputStream body) {
                return new Truncated(body, bytes);
            }
        };
    }

    static AwsServiceException failure(int status, String code) {
        return S3Exception.builder()
                .statusCode(status)
                .message(code)
                .awsErrorDetails(AwsErrorDetails.builder()
                        .errorCode(code)
                        .errorMessage(code)
                        .build())
                .build();
    }

    /** Flips a bit of it. */
    final class FirstByte extends FilterInputStream {
        private boolean isFlipped;

        FirstByte(InputStream in) {
            super(in);
        }

        @Override
        public int read() throws IOException {
            int next = super.read();
            boolean isFirst = next >= 0 && !isFlipped;
            isFlipped = true;
            return isFirst ? next ^ 1 : next;
        }

        @Override
        public int read(byte[] target, int offset, int length) throws IOException {
            int read = super.read(target, offset, length);
            if (read > 0 && !isFlipped) {
                isFlipped = true;
                target[offset] ^= 1;
            }
            return read;
        }
    }

    /** Fails after some bytes. */
    final class Truncated extends FilterInputStream {
        private int left;

        Truncated(InputStream in, int bytes) {
            super(in);
            left = bytes;
        }

        @Override
        public int read() throws IOException {
            requireMore();
            left--;
            return super.read();
        }

        @Override
        public int read(byte[] target, int offset, int length) throws IOException {
            requireMore();
            int read = super.read(target, offset, Math.min(length, left));
            left -= Math.max(read, 0);
            return read;
        }

        private void requireMore() throws IOException {
            if (left <= 0) {
                throw new IOException("the answer breaks off here");
            }
        }
    }
}
