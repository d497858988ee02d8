package io.flynn.blobstore.store.s3;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.flynn.blobstore.blob.Installation;
import io.flynn.blobstore.decide.BackendSettings;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.store.BucketOwnership;
import io.flynn.blobstore.store.StorageFailure;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import software.amazon.awssdk.core.async.AsyncRequestBody;
import software.amazon.awssdk.core.async.AsyncResponseTransformer;
import software.amazon.awssdk.services.s3.S3AsyncClient;
import software.amazon.awssdk.services.s3.model.S3Exception;

/** Whose bucket it is: the same on every store. */
abstract class BucketOwnershipContract {

    private static final Installation HERE = new Installation("here");
    private static final Installation THERE = new Installation("there");

    /** Of a bucket that the test may use alone. */
    abstract BackendSettings settings();

    @AfterEach
    void unmark() {
        try (S3AsyncClient s3 = S3Clients.open(settings(), 1)) {
            s3.deleteObject(r -> r.bucket(settings().bucket()).key(S3BucketOwnership.KEY))
                    .join();
        }
    }

    @Test
    void bucketWithoutAMarkIsAnybodysUntilItIsClaimed() {
        owner(HERE).check();
        owner(THERE).check();
        assertThat(mark()).isEmpty();

        owner(HERE).claim();

        assertThat(mark()).hasValueSatisfying(text -> assertThat(text).startsWith("here\n"));
        owner(HERE).check();
        owner(HERE).claim();
        assertForeign(owner(THERE)::check);
        assertForeign(owner(THERE)::claim);
        assertThat(mark()).hasValueSatisfying(text -> assertThat(text).startsWith("here\n"));
    }

    @Test
    void messageNamesBothAndWhatToDo() {
        owner(THERE).claim();

        assertThatThrownBy(owner(HERE)::check)
                .hasMessageContaining("bucket " + settings().bucket())
                .hasMessageContaining("belongs to installation there, this is here")
                .hasMessageContaining("--adopt-bucket there")
                .hasMessageContaining("adopt-bucket: there");
    }

    @Test
    void bucketIsTakenOverFromTheOneThatIsNamedAndOnlyOnce() {
        owner(THERE).claim();
        assertForeign(owner(HERE, "somewhere")::claim);

        owner(HERE, "there").check();
        assertThat(mark()).hasValueSatisfying(text -> assertThat(text).startsWith("there\n"));
        owner(HERE, "there").claim();

        assertThat(mark()).hasValueSatisfying(text -> assertThat(text).startsWith("here\n"));
        owner(HERE, "there").claim();
        assertForeign(owner(THERE)::check);
        assertForeign(
                owner(new Installation("a clone of here, manifests and all".replaceAll("[ ,]+", "-")), "there")::claim);
    }

    @Test
    void ofManyThatClaimAtOnceOneGetsTheBucket() throws Exception {
        List<Boolean> got = atOnce(Optional.empty());

        assertThat(got).filteredOn(has -> has).hasSize(1);
    }

    @Test
    void ofManyThatTakeItOverAtOnceOneGetsTheBucket() throws Exception {
        owner(THERE).claim();

        List<Boolean> got = atOnce(Optional.of("there"));

        assertThat(got).filteredOn(has -> has).hasSize(1);
    }

    @Test
    void objectThatIsNoMarkIsNobodysToReplace() {
        for (String text : new String[] {"", "\n", "two words\n", "x".repeat(5000)}) {
            put(text);

            assertForeign(owner(HERE)::check);
            assertForeign(owner(HERE, "x")::claim);
            assertThatThrownBy(owner(HERE)::claim).hasMessageContaining("delete it if the bucket is");
            assertThat(mark()).contains(text);
        }
    }

    @Test
    void markIsNoneOfTheBlobs() {
        owner(HERE).claim();

        try (S3BucketListing listing = new S3BucketListing(settings())) {
            assertThat(listing.objects()).toIterable().isEmpty();
        }
    }

    @Test
    void noteIsReadAsItWasWrittenAndIsNobodysObject() {
        S3Note note = new S3Note(settings(), owner(HERE));
        assertThat(note.read()).isEmpty();
        note.erase();

        note.write("one\n");
        note.write("two\n".repeat(40_000));

        assertThat(note.read()).hasValue("two\n".repeat(40_000));
        try (S3BucketListing listing = new S3BucketListing(settings())) {
            assertThat(listing.objects()).toIterable().isEmpty();
        }
        note.erase();
        assertThat(note.read()).isEmpty();
    }

    @Test
    void notesOfAnotherInstallationAreNotTouched() {
        new S3Note(settings(), owner(THERE)).write("theirs");
        owner(THERE).claim();
        S3Note note = new S3Note(settings(), owner(HERE));

        assertForeign(note::read);
        assertForeign(() -> note.write("ours"));
        assertForeign(note::erase);

        S3Note theirs = new S3Note(settings(), owner(THERE));
        assertThat(theirs.read()).hasValue("theirs");
        theirs.erase();
    }

    @Test
    void databaseThatCantSayWhichInstallationThisIsIsAFailureAndNothingIsMarked() {
        BucketOwnership unknown = new S3BucketOwnership(
                settings(),
                () -> {
                    throw new StorageFailure.Unreachable(Reasons.DATABASE_UNREACHABLE, "away", null);
                },
                Optional.empty());

        assertThatThrownBy(unknown::claim).isInstanceOf(StorageFailure.Unreachable.class);
        assertThat(mark()).isEmpty();
    }

    /** Whether the store decides between conditional writes at once; one that only looks before it writes may let two pass. */
    boolean decidesBetweenWrites() {
        return true;
    }

    /** Which of ten had it in the end. */
    private List<Boolean> atOnce(Optional<String> adopted) throws Exception {
        List<BucketOwnership> owners = IntStream.range(0, 10)
                .mapToObj(i -> owner(new Installation("claimant-" + i), adopted))
                .toList();
        List<Boolean> got = each(owners, BucketOwnership::claim);
        if (decidesBetweenWrites()) {
            return got;
        }
        return each(
                IntStream.range(0, 10).filter(got::get).mapToObj(owners::get).toList(), BucketOwnership::check);
    }

    private static List<Boolean> each(List<BucketOwnership> owners, Consumer<BucketOwnership> looks) throws Exception {
        List<Callable<Boolean>> claims = new ArrayList<>();
        for (BucketOwnership own : owners) {
            claims.add(() -> {
                try {
                    looks.accept(own);
                    return true;
                } catch (StorageFailure e) {
                    assertThat(e.reason()).isEqualTo(Reasons.FOREIGN_BUCKET);
                    return false;
                }
            });
        }
        List<Boolean> got = new ArrayList<>();
        try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
            for (Future<Boolean> claim : threads.invokeAll(claims)) {
                got.add(claim.get());
            }
        }
        return got;
    }

    private static void assertForeign(Runnable attempt) {
        assertThatThrownBy(attempt::run)
                .isInstanceOfSatisfying(
                        StorageFailure.Denied.class,
                        failure -> assertThat(failure.reason()).isEqualTo(Reasons.FOREIGN_BUCKET));
    }

    private BucketOwnership owner(Installation installation) {
        return owner(installation, Optional.empty());
    }

    private BucketOwnership owner(Installation installation, String adopted) {
        return owner(installation, Optional.of(adopted));
    }

    private BucketOwnership owner(Installation installation, Optional<String> adopted) {
        return new S3BucketOwnership(settings(), () -> installation, adopted.map(Installation::new));
    }

    private Optional<String> mark() {
        try (S3AsyncClient s3 = S3Clients.open(settings(), 1)) {
            return Optional.of(s3.getObject(
                            r -> r.bucket(settings().bucket()).key(S3BucketOwnership.KEY),
                            AsyncResponseTransformer.toBytes())
                    .join()
                    .asUtf8String());
        } catch (java.util.concurrent.CompletionException e) {
            if (e.getCause() instanceof S3Exception answer && answer.statusCode() == 404) {
                return Optional.empty();
            }
            throw e;
        }
    }

    private void put(String text) {
        try (S3AsyncClient s3 = S3Clients.open(settings(), 1)) {
            s3.putObject(
                            r -> r.bucket(settings().bucket()).key(S3BucketOwnership.KEY),
                            AsyncRequestBody.fromBytes(text.getBytes(StandardCharsets.UTF_8)))
                    .join();
        }
    }
}
