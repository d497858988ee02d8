package io.flynn.blobstore.store;

import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.blob.BlobRow;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Flow;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class CheckedBodyTest {

    private static final BlobRow ROW = new BlobRow(
            new UUID(0, 1), OptionalLong.of(1), Optional.empty(), BackendName.POSTGRES, "", 1, Optional.empty(), false);

    /** Who waits for its bytes would wait for ever. */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void aSourceThatFailsUnexpectedlyIsToldOf(boolean isError) {
        RuntimeException failure = new UncheckedIOException(new IOException("broken"));
        Error error = new AssertionError("broken");
        CheckedBody body = new CheckedBody(ROW, "its source", Optional.empty(), new Traffic()) {
            @Override
            protected void read(long first, long length, Chunks chunks) {
                if (isError) {
                    throw error;
                }
                throw failure;
            }
        };
        CompletableFuture<Throwable> told = new CompletableFuture<>();

        body.open().subscribe(new Flow.Subscriber<ByteBuffer>() {
            @Override
            public void onSubscribe(Flow.Subscription subscription) {
                subscription.request(1);
            }

            @Override
            public void onNext(ByteBuffer bytes) {
                told.completeExceptionally(new IllegalStateException("there are no bytes"));
            }

            @Override
            public void onError(Throwable problem) {
                told.complete(problem);
            }

            @Override
            public void onComplete() {
                told.completeExceptionally(new IllegalStateException("it failed"));
            }
        });

        assertThat(told).succeedsWithin(Duration.ofSeconds(20)).isSameAs(isError ? error : failure);
    }
}
