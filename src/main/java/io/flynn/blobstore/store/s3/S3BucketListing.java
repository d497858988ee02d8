package io.flynn.blobstore.store.s3;

import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.decide.BackendSettings;
import io.flynn.blobstore.store.BucketListing;
import java.util.ArrayDeque;
import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import software.amazon.awssdk.services.s3.S3AsyncClient;
import software.amazon.awssdk.services.s3.model.ListMultipartUploadsResponse;
import software.amazon.awssdk.services.s3.model.ListObjectsV2Response;
import software.amazon.awssdk.services.s3.model.MultipartUpload;

/** The listing of one backend's bucket. Thread-safe, its iterators not. */
public final class S3BucketListing implements BucketListing, AutoCloseable {

    /** Objects that are nobody's blob, and no stranger's either. */
    private static final Set<String> OWN = Set.of(S3BucketOwnership.KEY, S3Note.KEY);

    /** One for each of its lists. */
    private static final int CONNECTIONS = 2;

    private final S3AsyncClient client;
    private final String bucket;
    private final String place;

    public S3BucketListing(BackendSettings backend) {
        client = S3Clients.open(backend, CONNECTIONS);
        bucket = backend.bucket();
        place = S3Clients.describe(backend);
    }

    @Override
    public Iterator<StoredObject> objects() {
        return new Pages<StoredObject, ListObjectsV2Response>(
                last -> await(
                        "list the objects",
                        client.listObjectsV2(r -> r.bucket(bucket)
                                .continuationToken(last == null ? null : last.nextContinuationToken()))),
                page -> page.contents().stream()
                        .filter(object -> !OWN.contains(object.key()))
                        .map(object -> new StoredObject(object.key(), object.size()))
                        .toList(),
                page -> Boolean.TRUE.equals(page.isTruncated()));
    }

    @Override
    public Iterator<String> uploads() {
        return new Pages<String, ListMultipartUploadsResponse>(
                last -> await(
                        "list the multipart uploads",
                        client.listMultipartUploads(r -> r.bucket(bucket)
                                .keyMarker(last == null ? null : last.nextKeyMarker())
                                .uploadIdMarker(last == null ? null : last.nextUploadIdMarker()))),
                page -> page.uploads().stream().map(MultipartUpload::key).toList(),
                page -> Boolean.TRUE.equals(page.isTruncated()));
    }

    @Override
    public boolean hasUpload(ObjectKey key) {
        return await(
                        "list the multipart uploads under " + key,
                        client.listMultipartUploads(r -> r.bucket(bucket).prefix(key.toString())))
                .uploads()
                .stream()
                .anyMatch(upload -> upload.key().equals(key.toString()));
    }

    @Override
    public void close() {
        client.close();
    }

    private <T> T await(String tried, CompletableFuture<T> call) {
        try {
            return call.join();
        } catch (CompletionException e) {
            throw S3Failures.translate(tried + " in " + place, e);
        }
    }

    /** @param <P> the store's answer, which says what comes after it */
    private static final class Pages<T, P> implements Iterator<T> {

        private final Function<@Nullable P, P> fetch;
        private final Function<P, Iterable<T>> items;
        private final Function<P, Boolean> isMore;
        private final Queue<T> fetched = new ArrayDeque<>();
        private @Nullable P last;

        Pages(Function<@Nullable P, P> fetch, Function<P, Iterable<T>> items, Function<P, Boolean> isMore) {
            this.fetch = fetch;
            this.items = items;
            this.isMore = isMore;
        }

        @Override
        public boolean hasNext() {
            while (fetched.isEmpty() && (last == null || isMore.apply(last))) {
                last = fetch.apply(last);
                items.apply(last).forEach(fetched::add);
            }
            return !fetched.isEmpty();
        }

        @Override
        public T next() {
            if (!hasNext()) {
                throw new NoSuchElementException();
            }
            return fetched.remove();
        }
    }
}
