package io.flynn.blobstore.testkit.story;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Queue;
import java.util.SplittableRandom;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Changes names that nobody else changes, one after the other, while whatever it needs is killed and comes back. Before each change it
 * looks at what is there: one of the states that the {@link Ledger} allows, or else it is a problem. What fails is in doubt.
 */
public abstract class Writer implements AutoCloseable {

    private static final int THINKING_MILLIS_MAX = 80;
    private static final int NAMES_MAX = 25;
    private static final int SMALL_BYTES = 20_000;
    private static final int LARGE_BYTES = 400_000;

    /** Appends end here, so that a run of hours doesn't end in a few huge blobs. */
    private static final int WHOLE_BYTES_MAX = 2_000_000;

    private final String directory;
    private final Ledger ledger;
    private final AtomicBoolean isOver = new AtomicBoolean();
    private final Queue<String> problems = new ConcurrentLinkedQueue<>();
    private final AtomicLong acknowledged = new AtomicLong();
    private final AtomicLong inDoubt = new AtomicLong();
    private final List<String> names = new ArrayList<>();
    private final Thread thread;
    final SplittableRandom random;

    Writer(String directory, Ledger ledger, SplittableRandom random) {
        this.directory = directory;
        this.ledger = ledger;
        this.random = random;
        thread = Thread.ofVirtual().unstarted(this::run);
    }

    /** Something that is needed doesn't answer, or says not now: the change may have been made or not. */
    static final class InDoubtException extends IOException {
        private static final long serialVersionUID = 1L;

        InDoubtException(String message) {
            super(message);
        }
    }

    @FunctionalInterface
    interface Request {
        void send() throws IOException, SQLException, InterruptedException;
    }

    public void start() {
        thread.start();
    }

    /** Lets the request that is under way end. */
    @Override
    public void close() {
        isOver.set(true);
        boolean isInterrupted = false;
        while (thread.isAlive()) {
            try {
                thread.join();
            } catch (InterruptedException e) {
                isInterrupted = true;
            }
        }
        if (isInterrupted) {
            Thread.currentThread().interrupt();
        }
    }

    /** What was never acknowledged, and was seen all the same. */
    public List<String> problems() {
        return List.copyOf(problems);
    }

    public long acknowledged() {
        return acknowledged.get();
    }

    public long inDoubt() {
        return inDoubt.get();
    }

    private void run() {
        try {
            while (!isOver.get()) {
                TimeUnit.MILLISECONDS.sleep(random.nextInt(THINKING_MILLIS_MAX));
                step(name());
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private String name() {
        if (names.size() < NAMES_MAX && random.nextInt(4) == 0) {
            names.add(directory + names.size());
        }
        return names.isEmpty() ? directory + "first" : names.get(random.nextInt(names.size()));
    }

    private void step(String name) throws InterruptedException {
        Ledger.Reading reading = ledger.read(name);
        Optional<byte[]> present;
        try {
            present = read(name);
        } catch (IOException | SQLException notNow) {
            return;
        }
        if (!reading.allows(present.map(Fingerprint::of))) {
            problems.add("%s: acknowledged was %s, seen %s"
                    .formatted(name, reading.possible(), present.map(Fingerprint::of)));
            isOver.set(true);
            return;
        }
        write(name, present);
    }

    /** All that is there. */
    abstract Optional<byte[]> read(String name) throws IOException, SQLException, InterruptedException;

    /** Makes one change, or none, by {@link #change}. */
    abstract void write(String name, Optional<byte[]> present) throws InterruptedException;

    final void change(String name, Optional<byte[]> after, Request request) throws InterruptedException {
        Ledger.Change change = ledger.begin(name, after.map(Fingerprint::of)).orElseThrow();
        try {
            request.send();
            change.acknowledged();
            acknowledged.incrementAndGet();
        } catch (IOException | SQLException notNow) {
            change.unknown();
            inDoubt.incrementAndGet();
        }
    }

    final void problem(String problem) {
        problems.add(problem);
    }

    final byte[] bytes() {
        byte[] bytes = new byte[random.nextInt(random.nextInt(12) == 0 ? LARGE_BYTES : SMALL_BYTES)];
        random.nextBytes(bytes);
        return bytes;
    }

    static boolean isFull(byte[] present) {
        return present.length > WHOLE_BYTES_MAX;
    }

    static byte[] concatenated(byte[] first, byte[] second) {
        ByteArrayOutputStream whole = new ByteArrayOutputStream();
        whole.writeBytes(first);
        whole.writeBytes(second);
        return whole.toByteArray();
    }
}
