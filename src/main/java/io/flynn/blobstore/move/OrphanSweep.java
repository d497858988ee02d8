package io.flynn.blobstore.move;

import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.decide.CheckFinding;
import io.flynn.blobstore.decide.CheckFinding.Kind;
import io.flynn.blobstore.decide.ExitCode;
import io.flynn.blobstore.decide.OrphanDecision;
import io.flynn.blobstore.decide.SweepReport;
import io.flynn.blobstore.store.BucketOwnership;
import io.flynn.blobstore.store.OrphanStore;
import io.flynn.blobstore.store.Pauses;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.store.postgres.CheckedRows;
import io.flynn.blobstore.store.postgres.Database;
import io.flynn.blobstore.store.postgres.MigrationFence;
import io.flynn.blobstore.store.postgres.OlderTransactions;
import io.flynn.blobstore.store.postgres.OrphanedLargeObjects;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Deletes what a check found that no row names, after a second look: some time later, with all transactions ended that were
 * open, and with every migration kept out. To be run once.
 *
 * <p>Why nothing is lost, even if a worker sleeps through the fence and wakes up later: what a server stores is named by a row
 * before its first byte is there, so what is there and unnamed stays so; what an old server stores is named when its transaction
 * ends, and all that might are waited for; and an object that a worker has stored and not yet named is the key of a live row
 * elsewhere, and stays.
 */
public final class OrphanSweep {

    private static final Logger LOG = LoggerFactory.getLogger(OrphanSweep.class);

    /** An upload of an old server takes as long as its client. */
    private static final Duration TRANSACTIONS_PATIENCE = Duration.ofMinutes(10);

    /** Every unlink takes a lock for its transaction, as in the clean stage. */
    private static final int LARGE_OBJECTS_AT_ONCE = 500;

    /** WAL is about as large as what is unlinked. */
    private static final long LARGE_OBJECT_BYTES_AT_ONCE = 256L * 1024 * 1024;

    /** More than a few objects that can't be deleted: it is the store, or a right that is missing. */
    private static final int FAILURES_MAX = 20;

    private final Database database;
    private final Map<String, Bucket> buckets;
    private final Order order;
    private final int concurrency;
    private final CheckOutput output;
    private final CheckedRows rows;
    private final OlderTransactions transactions;
    private final Duration transactionsPatience;
    private final OrphanedLargeObjects largeObjects;
    private final SweepTally tally = new SweepTally();

    /** A backend's bucket, and whose it is. */
    public record Bucket(OrphanStore store, BucketOwnership ownership) {}

    /**
     * What is to be deleted.
     *
     * @param objects objects, and unfinished uploads, that this installation must have made
     * @param unproven those, too, that others may have made
     * @param largeObjects large objects
     * @param pause between the two looks; no link that was given out works longer
     */
    public record Order(boolean objects, boolean unproven, boolean largeObjects, Duration pause) {}

    /**
     * @param buckets by the backend's name
     * @param concurrency objects that are looked at and deleted at once
     */
    public OrphanSweep(
            Database database, Map<String, Bucket> buckets, Order order, int concurrency, CheckOutput output) {
        this(database, buckets, order, concurrency, output, TRANSACTIONS_PATIENCE);
    }

    /** @param transactionsPatience how long an open transaction may keep everything from being deleted */
    OrphanSweep(
            Database database,
            Map<String, Bucket> buckets,
            Order order,
            int concurrency,
            CheckOutput output,
            Duration transactionsPatience) {
        this.database = database;
        this.buckets = Map.copyOf(buckets);
        this.order = order;
        this.concurrency = concurrency;
        this.output = output;
        this.transactionsPatience = transactionsPatience;
        rows = new CheckedRows(database);
        transactions = new OlderTransactions(database);
        largeObjects = new OrphanedLargeObjects(database);
    }

    /** One backend's orphans, each with what it was like when it was first looked at; an upload has no such thing. */
    private record Suspects(String backend, Bucket bucket, Map<UUID, String> versions, List<CheckFinding> findings) {}

    /**
     * Blocks for longer than the pause between the looks.
     *
     * @throws StorageFailure if nothing can be decided; what was deleted until then was told
     */
    public SweepReport run(Orphans orphans) {
        List<CheckFinding> found = orphans.found();
        List<CheckFinding> ofDatabase = found.stream()
                .filter(orphan -> orphan.kind() == Kind.LARGE_OBJECT_ORPHANED && order.largeObjects())
                .toList();
        List<Suspects> suspects = suspects(found);
        if (!ofDatabase.isEmpty() || !suspects.isEmpty()) {
            if (!ofDatabase.isEmpty()) {
                largeObjects.requireNoOtherNamesThem();
            }
            LOG.atInfo().addKeyValue("pause", order.pause()).log("what no row names is looked at again after a pause");
            Pauses.sleep(order.pause());
            // An identity of its own keeps other sweeps out, too.
            new MigrationFence(database, "sweep " + UUID.randomUUID()).holding(() -> {
                lookAgain(suspects, ofDatabase);
                return tally;
            });
        }
        SweepReport report = tally.report();
        output.swept(report);
        return report;
    }

    private List<Suspects> suspects(List<CheckFinding> found) {
        Map<String, List<CheckFinding>> byBackend = new HashMap<>();
        found.stream()
                .filter(orphan -> orphan.kind() != Kind.LARGE_OBJECT_ORPHANED && order.objects())
                .forEach(orphan -> byBackend
                        .computeIfAbsent(orphan.backend(), first -> new ArrayList<>())
                        .add(orphan));
        List<Suspects> suspects = new ArrayList<>();
        byBackend.forEach((backend, findings) -> {
            Bucket bucket = Optional.ofNullable(buckets.get(backend)).orElseThrow();
            bucket.ownership().claim();
            Map<UUID, String> versions = new ConcurrentHashMap<>();
            try (InFlight looks = new InFlight(concurrency)) {
                findings.stream()
                        .filter(orphan -> orphan.kind() == Kind.OBJECT_ORPHANED)
                        .forEach(orphan -> looks.submit(() -> bucket.store()
                                .version(new ObjectKey(key(orphan)))
                                .ifPresent(version -> versions.put(key(orphan), version))));
            }
            suspects.add(new Suspects(backend, bucket, versions, findings));
        });
        return suspects;
    }

    private static UUID key(CheckFinding orphan) {
        return UUID.fromString(orphan.key().orElseThrow());
    }

    private void lookAgain(List<Suspects> suspects, List<CheckFinding> ofDatabase) {
        // Of those that have only read, too: an old server's append stores an object before it changes, or locks, its
        // row.
        transactions.awaitEnd(transactionsPatience, () -> false);
        suspects.forEach(this::sweep);
        unlink(ofDatabase);
    }

    private void sweep(Suspects suspects) {
        suspects.bucket().ownership().check();
        Map<UUID, OrphanDecision> decisions = decisions(suspects);
        try (InFlight deletions = new InFlight(concurrency)) {
            for (CheckFinding orphan : suspects.findings()) {
                deletions.submit(
                        () -> sweep(suspects, orphan, decisions.getOrDefault(key(orphan), OrphanDecision.NAMED)));
            }
        }
    }

    private Map<UUID, OrphanDecision> decisions(Suspects suspects) {
        Set<UUID> keys = ConcurrentHashMap.newKeySet();
        suspects.findings().forEach(orphan -> keys.add(key(orphan)));
        Set<UUID> named = rows.named(keys);
        boolean isAnyWithoutDigest = rows.isAnyWithoutDigestElsewhere(suspects.backend());
        Map<UUID, Boolean> isLiveElsewhere = new HashMap<>();
        rows.keysOfRows(suspects.backend(), (key, isLive) -> {
            if (keys.contains(key)) {
                isLiveElsewhere.merge(key, isLive, Boolean::logicalOr);
            }
        });
        Map<UUID, OrphanDecision> decisions = new HashMap<>();
        for (UUID key : keys) {
            decisions.put(
                    key,
                    OrphanDecision.of(
                            new OrphanDecision.Key(
                                    named.contains(key),
                                    isLiveElsewhere.containsKey(key),
                                    isLiveElsewhere.getOrDefault(key, false),
                                    key.version() == 5 && isAnyWithoutDigest),
                            order.unproven()));
        }
        return decisions;
    }

    private void sweep(Suspects suspects, CheckFinding orphan, OrphanDecision byRows) {
        ObjectKey key = new ObjectKey(key(orphan));
        OrphanStore store = suspects.bucket().store();
        try {
            boolean isUpload = orphan.kind() == Kind.UPLOAD_ORPHANED;
            OrphanDecision decision = byRows == OrphanDecision.DELETE && !isUpload ? byObject(suspects, key) : byRows;
            if (decision != OrphanDecision.DELETE) {
                tally.kept(decision);
                output.kept(orphan, why(decision));
                return;
            }
            output.deleting(orphan);
            if (isUpload) {
                store.abortUploads(key);
            } else {
                store.delete(key);
            }
            tally.deletedObject(orphan.foundSize().orElse(0));
        } catch (StorageFailure e) {
            output.kept(orphan, String.valueOf(e.getMessage()));
            if (tally.failed(e) > FAILURES_MAX) {
                throw e;
            }
        }
    }

    private static OrphanDecision byObject(Suspects suspects, ObjectKey key) {
        Optional<String> now = suspects.bucket().store().version(key);
        if (now.isEmpty()) {
            return OrphanDecision.GONE;
        }
        return now.equals(Optional.ofNullable(suspects.versions().get(key.value())))
                ? OrphanDecision.DELETE
                : OrphanDecision.CHANGED;
    }

    private static String why(OrphanDecision decision) {
        return switch (decision) {
            case DELETE -> throw new IllegalArgumentException("it doesn't stay");
            case NAMED -> "a row names it by now";
            case MOVABLE -> "a live row elsewhere would name it once it is moved, or may: end the migration first";
            case UNPROVEN ->
                "no row shows that this installation made it: if nothing else uses the bucket, add --delete-unproven";
            case CHANGED -> "it was stored anew meanwhile";
            case GONE -> "it is gone already";
        };
    }

    private void unlink(List<CheckFinding> orphans) {
        Map<Long, CheckFinding> batch = new HashMap<>();
        long bytes = 0;
        for (CheckFinding orphan : orphans) {
            batch.put(orphan.oid().orElseThrow(), orphan);
            bytes += orphan.foundSize().orElse(0);
            if (batch.size() == LARGE_OBJECTS_AT_ONCE || bytes > LARGE_OBJECT_BYTES_AT_ONCE) {
                unlink(batch);
                batch.clear();
                bytes = 0;
            }
        }
        unlink(batch);
    }

    private void unlink(Map<Long, CheckFinding> batch) {
        if (batch.isEmpty()) {
            return;
        }
        batch.values().forEach(output::deleting);
        List<Long> unlinked = largeObjects.unlink(batch.keySet());
        for (Long oid : unlinked) {
            CheckFinding orphan = Optional.ofNullable(batch.remove(oid)).orElseThrow();
            tally.deletedLargeObject(orphan.foundSize().orElse(0));
        }
        batch.values().forEach(orphan -> {
            tally.kept(OrphanDecision.NAMED);
            output.kept(orphan, "a row names it by now, or it is gone already");
        });
    }

    /** Thread-safe. */
    private static final class SweepTally {

        private long objects;
        private long objectBytes;
        private long largeObjects;
        private long largeObjectBytes;
        private long failed;
        private boolean failedForGood;
        private final Map<OrphanDecision, Long> kept = new HashMap<>();

        synchronized void deletedObject(long bytes) {
            objects++;
            objectBytes += bytes;
        }

        synchronized void deletedLargeObject(long bytes) {
            largeObjects++;
            largeObjectBytes += bytes;
        }

        synchronized void kept(OrphanDecision decision) {
            kept.merge(decision, 1L, Long::sum);
        }

        synchronized long failed(StorageFailure failure) {
            failed++;
            failedForGood |= !failure.isTransient();
            return failed;
        }

        synchronized SweepReport report() {
            ExitCode outcome = failedForGood ? ExitCode.FAILED : failed > 0 ? ExitCode.RETRY : ExitCode.DONE;
            return new SweepReport(objects, objectBytes, largeObjects, largeObjectBytes, kept, failed, outcome);
        }
    }
}
