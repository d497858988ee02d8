package io.flynn.blobstore.move;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.decide.CheckFinding;
import io.flynn.blobstore.decide.CheckFinding.Kind;
import io.flynn.blobstore.decide.CheckReport;
import io.flynn.blobstore.decide.CheckReport.Figure;
import io.flynn.blobstore.store.BlobStore;
import io.flynn.blobstore.store.BucketListing;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.store.postgres.CheckedRows;
import io.flynn.blobstore.store.postgres.CheckedRows.Count;
import io.flynn.blobstore.store.postgres.CheckedRows.LargeObject;
import io.flynn.blobstore.store.postgres.Database;
import io.flynn.blobstore.store.postgres.Inventory;
import io.flynn.blobstore.store.postgres.LargeObjects;
import io.flynn.blobstore.store.postgres.OlderTransactions;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Set;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Compares rows with objects and large objects, both ways: what is lost, what is wrong, what is left over. Changes nothing,
 * takes no lock and no fence, and may run beside servers and migrations at any time.
 */
public final class CheckRun {

    private static final Logger LOG = LoggerFactory.getLogger(CheckRun.class);

    private static final Duration TELL_EVERY = Duration.ofSeconds(2);

    /** What the database as a whole is called where findings name a backend. */
    private static final String POSTGRES = BackendName.POSTGRES.value();

    private static final int PAGE = 1000;

    /** Ours take milliseconds; an old server's upload as long as its client. */
    private static final Duration WRITERS_PATIENCE = Duration.ofSeconds(30);

    private static final long BEFORE_ALL = 0;

    private final Scope scope;
    private final Map<String, Bucket> buckets;
    private final boolean isReading;
    private final int concurrency;
    private final CheckOutput output;
    private final CheckTally tally;
    private final Inventory inventory;
    private final CheckedRows rows;
    private final RowCheck rowCheck;
    private final Writers writers;
    private boolean isOver;

    /** A configured backend's bucket. */
    public record Bucket(BlobStore store, BucketListing listing) {}

    /**
     * What is checked.
     *
     * @param backends by their names
     * @param isAll whether rows elsewhere are counted, too
     * @param rejected why backends can't be used that the environment has wrongly
     */
    public record Scope(Set<BackendName> backends, boolean isAll, Map<BackendName, String> rejected) {}

    /**
     * @param buckets of all backends that can be used: a row may move to any of them while it is looked at
     * @param isReading whether every live blob is read whole
     * @param concurrency blobs that are looked at at once; takes two database connections more than that
     */
    public CheckRun(
            Database database,
            Scope scope,
            Map<BackendName, Bucket> buckets,
            boolean isReading,
            int concurrency,
            CheckOutput output) {
        this(database, scope, buckets, isReading, concurrency, output, WRITERS_PATIENCE);
    }

    /** @param writersPatience how long a write may be under way before what it may change is undecided */
    CheckRun(
            Database database,
            Scope scope,
            Map<BackendName, Bucket> buckets,
            boolean isReading,
            int concurrency,
            CheckOutput output,
            Duration writersPatience) {
        this.scope = scope;
        this.buckets = new HashMap<>();
        Map<String, BlobStore> stores = new HashMap<>();
        buckets.forEach((name, bucket) -> {
            this.buckets.put(name.value(), bucket);
            stores.put(name.value(), bucket.store());
        });
        this.isReading = isReading;
        this.concurrency = concurrency;
        this.output = output;
        tally = new CheckTally(output);
        inventory = new Inventory(database);
        rows = new CheckedRows(database);
        writers = new Writers(OlderTransactions.thatWrite(database), writersPatience);
        rowCheck = new RowCheck(rows, new LargeObjects(database), stores, writers, isReading, concurrency, tally);
    }

    /** Blocks until all is checked that can be reached; what can't is among the findings. To be run once. */
    public CheckReport run() {
        // A daemon, so that it ends with the process.
        Thread teller = Thread.ofPlatform().daemon().name("progress").start(this::tell);
        try {
            checkAll();
        } finally {
            teller.interrupt();
        }
        CheckReport report = tally.report();
        synchronized (this) {
            isOver = true;
            output.summary(report);
        }
        return report;
    }

    private void tell() {
        try {
            while (true) {
                tellUnlessOver();
                Thread.sleep(TELL_EVERY);
            }
        } catch (InterruptedException e) {
            // The summary says the rest.
            Thread.currentThread().interrupt();
        }
    }

    /** The summary is the last that is told. */
    private synchronized void tellUnlessOver() {
        if (!isOver) {
            output.progress(tally.report());
        }
    }

    private void checkAll() {
        List<Count> counts;
        try {
            inventory.requireSchema();
            counts = rows.counts();
        } catch (StorageFailure e) {
            notChecked(POSTGRES, e);
            return;
        }
        if (scope.isAll()) {
            counts.forEach(this::nameIfUnknown);
        }
        scope.backends().stream().map(BackendName::value).sorted().forEach(this::check);
    }

    /** One backend that fails keeps none of the others from being checked. */
    private void check(String backend) {
        try {
            Bucket bucket = buckets.get(backend);
            if (bucket == null) {
                checkLargeObjects();
                rowCheck.all(backend);
            } else {
                check(backend, bucket);
            }
        } catch (StorageFailure e) {
            notChecked(backend, e);
        }
    }

    /** Uploads last: there are stores that don't list them, and keys that may not. */
    private void check(String backend, Bucket bucket) {
        bucket.store().requireBucket();
        BucketCheck check = new BucketCheck(
                backend, bucket.store(), bucket.listing(), rows, rowCheck, writers, isReading, concurrency, tally);
        check.compare();
        if (isReading) {
            rowCheck.all(backend);
        }
        check.checkUploads();
    }

    private void checkLargeObjects() {
        tally.count(POSTGRES, Figure.OBJECTS, rows.countLargeObjects());
        long after = BEFORE_ALL;
        List<LargeObject> page;
        do {
            page = rows.orphans(after, PAGE);
            for (LargeObject orphan : page) {
                tally.count(POSTGRES, Figure.ORPHANED_OBJECTS, 1);
                tally.count(POSTGRES, Figure.ORPHANED_BYTES, orphan.size().orElse(0));
                tally.found(
                        CheckFinding.ofLargeObject(Kind.LARGE_OBJECT_ORPHANED, POSTGRES, orphan.oid(), orphan.size()));
                after = orphan.oid();
            }
        } while (page.size() == PAGE);
    }

    private void nameIfUnknown(Count count) {
        String backend = count.backend();
        if (backend.equals(POSTGRES) || buckets.containsKey(backend)) {
            return;
        }
        String why = scope.rejected().entrySet().stream()
                .filter(rejected -> rejected.getKey().value().equals(backend))
                .findFirst()
                .map(rejected -> "its settings can't be used: " + rejected.getValue())
                .orElse("the environment has no such backend");
        if (count.live() > 0) {
            tally.found(CheckFinding.ofBackend(Kind.BACKEND_UNKNOWN, backend, OptionalLong.of(count.live()), why));
        }
        if (count.retired() > 0) {
            tally.found(CheckFinding.ofBackend(
                    Kind.RETIRED_BACKEND_UNKNOWN, backend, OptionalLong.of(count.retired()), why));
        }
    }

    private void notChecked(String backend, StorageFailure failure) {
        LOG.atWarn().addKeyValue("backend", backend).setCause(failure).log("a backend can't be checked");
        tally.found(CheckFinding.ofBackend(
                Kind.NOT_CHECKED, backend, OptionalLong.empty(), failure.reason() + ": " + failure.getMessage()));
    }
}
