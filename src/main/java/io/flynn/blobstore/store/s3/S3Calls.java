package io.flynn.blobstore.store.s3;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Semaphore;
import java.util.function.Function;
import software.amazon.awssdk.services.s3.S3AsyncClient;

/** One bucket's client, no more calls at once than it has connections: further ones wait here, where the SDK would give up. Thread-safe. */
final class S3Calls {

    private final Lazily<S3AsyncClient> client;
    private final Semaphore connections;
    private final String bucket;
    private final String place;

    /** @param place the bucket as people know it, for messages */
    S3Calls(Lazily<S3AsyncClient> client, int connections, String bucket, String place) {
        this.client = client;
        this.connections = new Semaphore(connections);
        this.bucket = bucket;
        this.place = place;
    }

    /** For who counts calls otherwise, or makes few. */
    S3AsyncClient client() {
        return client.get();
    }

    String bucket() {
        return bucket;
    }

    String place() {
        return place;
    }

    /**
     * Waits for the answer.
     *
     * @param tried in words that complete "could not … in this place"
     * @throws io.flynn.blobstore.store.StorageFailure if it is a failure
     */
    <T> T await(String tried, Function<S3AsyncClient, CompletableFuture<T>> call) {
        return join(tried, start(call).answer());
    }

    /**
     * A call on its way.
     *
     * @param sent can be cancelled
     * @param answer comes when the call no longer counts
     */
    record Call<T>(CompletableFuture<T> sent, CompletableFuture<T> answer) {}

    /** Waits for its turn, not for the answer. */
    <T> Call<T> start(Function<S3AsyncClient, CompletableFuture<T>> call) {
        connections.acquireUninterruptibly();
        try {
            CompletableFuture<T> sent = call.apply(client.get());
            return new Call<>(sent, sent.whenComplete((result, failure) -> connections.release()));
        } catch (RuntimeException | Error e) {
            connections.release();
            throw e;
        }
    }

    /** Waits for the answer to what was started. */
    <T> T join(String tried, CompletableFuture<T> answer) {
        try {
            return answer.join();
        } catch (CompletionException e) {
            throw S3Failures.translate(tried + " in " + place, e);
        }
    }
}
