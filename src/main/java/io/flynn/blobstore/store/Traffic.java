package io.flynn.blobstore.store;

import java.time.Duration;
import java.util.EnumMap;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.atomic.LongAdder;

/**
 * What goes on between a stage and its stores: how much may be on its way at once and how fast, which both may change at any time; how
 * often a store said that it is too much; and how long was waited for whom. Thread-safe.
 *
 * <p>A store that says so is given half as much at once, and then, with every blob that it takes, a little more again: additive
 * increase, multiplicative decrease, as TCP does it.
 */
public final class Traffic {

    /** A blob on its way counts as this many; a small one as fewer, by its size. */
    public static final int SHARES = 32;

    /** No fewer than one small blob at a time, however often a store refuses. */
    private static final int SHARES_MIN = 1;

    /** Blobs that are on their way together are refused together: that is one refusal. */
    private static final long REFUSALS_APART_NANOS = Duration.ofSeconds(1).toNanos();

    private static final double NANOS = 1e9;

    /** Whom a blob waits for. */
    public enum Wait {
        /** Whoever has the bytes. */
        SOURCE,
        /** The way to the store. */
        NETWORK,
        /** The store's answer. */
        STORE,
        /** The limit that was set. */
        THROTTLE,
        /** This process, while it digests. */
        DIGEST;

        /** As progress lines have it. */
        public String word() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    private final Map<Wait, LongAdder> waited = new EnumMap<>(Wait.class);
    private int sharesMax = SHARES;
    private double shares = SHARES;
    private long bytesPerSecond;
    private long nextFree = System.nanoTime();
    private long lastRefusal = System.nanoTime() - REFUSALS_APART_NANOS;
    private Map<Wait, Long> seen = Map.of();

    public Traffic() {
        for (Wait wait : Wait.values()) {
            waited.put(wait, new LongAdder());
        }
    }

    /** At most so many blobs at once, from now on; a store that is refusing meanwhile gets no more than before. */
    public synchronized void limitBlobs(int atOnce) {
        int wanted = Math.multiplyExact(atOnce, SHARES);
        shares = shares == sharesMax ? wanted : Math.min(shares, wanted);
        sharesMax = wanted;
    }

    /** @param bytes a second; 0 = as fast as it goes */
    public synchronized void limitBytes(long bytes) {
        bytesPerSecond = bytes;
        nextFree = System.nanoTime();
    }

    /** How much may be on its way now. */
    public synchronized int shares() {
        return (int) shares;
    }

    /** What a blob of this size counts as. */
    public static int sharesOf(long bytes, long streamedFrom) {
        long part = (bytes * SHARES + streamedFrom - 1) / streamedFrom;
        return Math.clamp(part, SHARES_MIN, SHARES);
    }

    /** Waits until so many bytes may follow. */
    public void pass(long bytes) {
        long pause;
        synchronized (this) {
            if (bytesPerSecond == 0) {
                return;
            }
            long now = System.nanoTime();
            nextFree = Math.max(nextFree, now);
            pause = nextFree - now;
            nextFree += (long) (bytes * NANOS / bytesPerSecond);
        }
        if (pause > 0) {
            Pauses.sleep(Duration.ofNanos(pause));
            waited(Wait.THROTTLE, pause);
        }
    }

    /** A store said that it is too much. */
    public synchronized void refused() {
        long now = System.nanoTime();
        if (now - lastRefusal >= REFUSALS_APART_NANOS) {
            lastRefusal = now;
            shares = Math.max(SHARES_MIN, shares / 2);
        }
    }

    /** A store took a blob. */
    public synchronized void accepted() {
        shares = Math.min(sharesMax, shares + SHARES / Math.max(shares, SHARES));
    }

    public void waited(Wait wait, long nanos) {
        Objects.requireNonNull(waited.get(wait)).add(nanos);
    }

    /** Whom was waited for most since this was asked last; empty if for nobody. */
    public synchronized Optional<Wait> bottleneck() {
        Map<Wait, Long> now = new EnumMap<>(Wait.class);
        waited.forEach((wait, nanos) -> now.put(wait, nanos.sum()));
        Map<Wait, Long> before = seen;
        seen = now;
        return now.entrySet().stream()
                .map(wait -> Map.entry(wait.getKey(), wait.getValue() - before.getOrDefault(wait.getKey(), 0L)))
                .filter(wait -> wait.getValue() > 0)
                .max(Map.Entry.comparingByValue())
                .map(Map.Entry::getKey);
    }
}
