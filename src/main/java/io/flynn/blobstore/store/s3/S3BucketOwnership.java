package io.flynn.blobstore.store.s3;

import io.flynn.blobstore.blob.Installation;
import io.flynn.blobstore.decide.BackendSettings;
import io.flynn.blobstore.decide.OwnershipDecision;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.store.BucketOwnership;
import io.flynn.blobstore.store.StorageFailure;
import java.net.HttpURLConnection;
import java.util.Optional;
import java.util.function.Supplier;
import software.amazon.awssdk.core.async.AsyncRequestBody;
import software.amazon.awssdk.services.s3.S3AsyncClient;
import software.amazon.awssdk.services.s3.model.PutObjectRequest;
import software.amazon.awssdk.services.s3.model.S3Exception;

/** The mark of one backend's bucket: an object beside the blobs, whose first line is the installation's name. */
public final class S3BucketOwnership implements BucketOwnership {

    /** No blob has it: theirs are UUIDs. */
    public static final String KEY = "blobstore-owner";

    private static final String FOR_PEOPLE =
            "keeps its blobs in this bucket. Don't delete this object: by it, restored copies and"
                    + " clones of that installation\nknow that the bucket isn't theirs.\n";

    /** Longer than any mark, and less than would fill memory if it is something else. */
    private static final int FIRST_BYTES = 2048;

    private static final int CONNECTIONS = 1;

    private final BackendSettings backend;
    private final String bucket;
    private final String place;
    private final Supplier<Installation> installation;
    private final Optional<Installation> adopted;

    /**
     * Connects to nothing yet.
     *
     * @param installation this one; asked for when it is needed, and may throw a {@link StorageFailure}
     * @param adopted whose bucket is to be taken over, if any is
     */
    public S3BucketOwnership(
            BackendSettings backend, Supplier<Installation> installation, Optional<Installation> adopted) {
        this.backend = backend;
        bucket = backend.bucket();
        place = S3Clients.describe(backend);
        this.installation = installation;
        this.adopted = adopted;
    }

    /** @param etag by which the store knows the mark's present bytes */
    private record Mark(String name, String etag) {}

    @Override
    public void check() {
        Installation own = installation.get();
        try (S3AsyncClient s3 = S3Clients.open(backend, CONNECTIONS)) {
            decide(read(s3), own);
        }
    }

    @Override
    public void claim() {
        Installation own = installation.get();
        try (S3AsyncClient s3 = S3Clients.open(backend, CONNECTIONS)) {
            Optional<Mark> before = read(s3);
            if (decide(before, own) == OwnershipDecision.OWN) {
                return;
            }
            write(s3, own, before);
            Optional<Mark> after = read(s3);
            switch (OwnershipDecision.of(after.map(Mark::name), own, Optional.empty())) {
                case OWN -> {}
                case UNMARKED, ADOPTED ->
                    throw new StorageFailure.Corrupt(
                            Reasons.STORE_FAULTY,
                            "object %s in %s was stored and isn't there".formatted(KEY, place),
                            null);
                case FOREIGN -> throw foreign(after.orElseThrow(), own);
            }
        }
    }

    private OwnershipDecision decide(Optional<Mark> mark, Installation own) {
        OwnershipDecision decision = OwnershipDecision.of(mark.map(Mark::name), own, adopted);
        if (decision == OwnershipDecision.FOREIGN) {
            throw foreign(mark.orElseThrow(), own);
        }
        return decision;
    }

    private StorageFailure foreign(Mark mark, Installation own) {
        String message = Installation.isName(mark.name())
                ? "%s belongs to installation %s, this is %s: use another bucket; if that one is no more, take it over by --adopt-bucket %s, or annotation blobstore.flynn.io/adopt-bucket: %s of the BlobstoreBackend"
                        .formatted(place, mark.name(), own, mark.name(), mark.name())
                : "object %s in %s should name the installation that the bucket belongs to, but holds something else: delete it if the bucket is this installation's"
                        .formatted(KEY, place);
        return new StorageFailure.Denied(Reasons.FOREIGN_BUCKET, message, null);
    }

    private Optional<Mark> read(S3AsyncClient s3) {
        return object(s3)
                .read(FIRST_BYTES)
                .map(object -> new Mark(object.text().lines().findFirst().orElse(""), object.etag()));
    }

    private SmallObject object(S3AsyncClient s3) {
        return new SmallObject(s3, bucket, KEY, place);
    }

    /** Only if the mark is still as it was read, where the store knows how to; who was faster is found out by reading it again. */
    private void write(S3AsyncClient s3, Installation own, Optional<Mark> before) {
        PutObjectRequest plain = PutObjectRequest.builder()
                .bucket(bucket)
                .key(KEY)
                .contentType("text/plain; charset=utf-8")
                .build();
        PutObjectRequest guarded = before.map(
                        mark -> plain.toBuilder().ifMatch(mark.etag()).build())
                .orElseGet(() -> plain.toBuilder().ifNoneMatch("*").build());
        try {
            put(s3, guarded, own);
        } catch (S3Exception e) {
            switch (e.statusCode()) {
                case HttpURLConnection.HTTP_PRECON_FAILED, HttpURLConnection.HTTP_CONFLICT -> {}
                case HttpURLConnection.HTTP_NOT_IMPLEMENTED -> putPlain(s3, plain, own);
                default -> throw object(s3).failed("store", e);
            }
        }
    }

    private void putPlain(S3AsyncClient s3, PutObjectRequest request, Installation own) {
        try {
            put(s3, request, own);
        } catch (S3Exception e) {
            throw object(s3).failed("store", e);
        }
    }

    private void put(S3AsyncClient s3, PutObjectRequest request, Installation own) {
        object(s3).await(s3.putObject(request, AsyncRequestBody.fromString(own + "\n" + FOR_PEOPLE)));
    }
}
