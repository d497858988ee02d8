package io.flynn.blobstore.store.s3;

import io.flynn.blobstore.decide.BackendSettings;
import io.flynn.blobstore.store.BucketOwnership;
import io.flynn.blobstore.store.Note;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.function.Function;
import software.amazon.awssdk.core.async.AsyncRequestBody;
import software.amazon.awssdk.services.s3.S3AsyncClient;
import software.amazon.awssdk.services.s3.model.S3Exception;

/** What a verification of one backend's bucket leaves there. */
public final class S3Note implements Note {

    /** No blob has it: theirs are UUIDs. */
    static final String KEY = "blobstore-verification";

    private static final int CONNECTIONS = 1;

    private final BackendSettings backend;
    private final BucketOwnership ownership;

    /**
     * Connects to nothing yet.
     *
     * @param ownership is asked before each call: nobody reads or writes notes in another installation's bucket
     */
    public S3Note(BackendSettings backend, BucketOwnership ownership) {
        this.backend = backend;
        this.ownership = ownership;
    }

    @Override
    public String place() {
        return S3Clients.describe(backend);
    }

    @Override
    public Optional<String> read() {
        return with(note -> note.read(LENGTH_MAX).map(SmallObject.Content::text));
    }

    @Override
    public void write(String text) {
        if (text.length() > LENGTH_MAX) {
            throw new IllegalArgumentException(
                    "a note has at most %d characters, not %d".formatted(LENGTH_MAX, text.length()));
        }
        await(
                "store",
                note -> note.s3()
                        .putObject(
                                r -> r.bucket(note.bucket()).key(KEY).contentType("text/plain; charset=utf-8"),
                                AsyncRequestBody.fromString(text)));
    }

    @Override
    public void erase() {
        await(
                "delete",
                note -> note.s3().deleteObject(r -> r.bucket(note.bucket()).key(KEY)));
    }

    private void await(String verb, Function<SmallObject, CompletableFuture<?>> call) {
        with(note -> {
            try {
                return note.await(call.apply(note));
            } catch (S3Exception e) {
                throw note.failed(verb, e);
            }
        });
    }

    private <T> T with(Function<SmallObject, T> work) {
        ownership.check();
        try (S3AsyncClient s3 = S3Clients.open(backend, CONNECTIONS)) {
            return work.apply(new SmallObject(s3, backend.bucket(), KEY, place()));
        }
    }
}
