package io.flynn.blobstore.store.s3;

import io.flynn.blobstore.blob.ObjectKey;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletionException;
import software.amazon.awssdk.core.metrics.CoreMetric;
import software.amazon.awssdk.metrics.MetricCollection;
import software.amazon.awssdk.metrics.MetricPublisher;
import software.amazon.awssdk.services.s3.S3AsyncClient;
import software.amazon.awssdk.services.s3.model.MultipartUpload;
import software.amazon.awssdk.services.s3.model.NoSuchUploadException;

/** The uploads of parts that a bucket knows under one key. Thread-safe; blocks. */
final class MultipartUploads {

    private final S3AsyncClient client;
    private final String bucket;
    private final String place;

    /** @param place the bucket as people know it, for messages */
    MultipartUploads(S3AsyncClient client, String bucket, String place) {
        this.client = client;
        this.bucket = bucket;
        this.place = place;
    }

    /**
     * Tells whether the SDK sent a request more than once. One to begin an upload whose answer is lost has begun one that nobody
     * knows of, and its repetition begins another.
     */
    static final class Repetition implements MetricPublisher {

        /** Unless it is told otherwise, which it is before the call ends. */
        private volatile boolean mayBe = true;

        @Override
        public void publish(MetricCollection call) {
            mayBe = !call.metricValues(CoreMetric.RETRY_COUNT).equals(List.of(0));
        }

        boolean mayBe() {
            return mayBe;
        }

        @Override
        public void close() {
            // Has nothing.
        }
    }

    /**
     * Aborts them.
     *
     * @param but the id of one that goes on
     */
    void abort(ObjectKey key, Optional<String> but) {
        try {
            client.listMultipartUploads(r -> r.bucket(bucket).prefix(key.toString())).join().uploads().stream()
                    .filter(upload -> upload.key().equals(key.toString()))
                    .map(MultipartUpload::uploadId)
                    .filter(id -> !Optional.of(id).equals(but))
                    .forEach(id -> abort(key, id));
        } catch (CompletionException e) {
            throw S3Failures.translate("abort uploads to " + key + " in " + place, e);
        }
    }

    /** Aborts one, or finds it gone: the answer to a first try may have been lost. */
    void abort(ObjectKey key, String id) {
        try {
            client.abortMultipartUpload(
                            r -> r.bucket(bucket).key(key.toString()).uploadId(id))
                    .join();
        } catch (CompletionException e) {
            if (!(e.getCause() instanceof NoSuchUploadException)) {
                throw S3Failures.translate("abort an upload of object " + key + " in " + place, e);
            }
        }
    }
}
