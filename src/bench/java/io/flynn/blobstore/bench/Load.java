package io.flynn.blobstore.bench;

import java.io.IOException;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.atomic.LongAdder;

/** So many clients that do the same without pause, for so long. */
record Load(String operation, int size, int clients) {

    private static final byte[] CONTENT = new byte[4 << 20];

    static {
        new Random(1).nextBytes(CONTENT);
    }

    /**
     * @param bytesPerSecond of bodies, also of requests that did not end in time
     * @param requestsPerSecond that ended
     */
    record Result(double bytesPerSecond, double requestsPerSecond, Latency p50, Latency p99) {}

    /**
     * How long a request took.
     *
     * @param isWhole false = it was broken off then, and would have taken longer
     */
    record Latency(double millis, boolean isWhole) {

        static final Latency UNKNOWN = new Latency(Double.NaN, true);

        private static Latency since(long start, boolean isWhole) {
            return new Latency((System.nanoTime() - start) / 1e6, isWhole);
        }

        /** Of an even number, the lower of the two in the middle. */
        static Latency median(List<Latency> values) {
            return percentile(values, 0.5);
        }

        private static Latency percentile(List<Latency> values, double share) {
            List<Latency> sorted = values.stream()
                    .sorted(Comparator.comparingDouble(Latency::millis))
                    .toList();
            return sorted.isEmpty() ? UNKNOWN : sorted.get((int) (share * (sorted.size() - 1)));
        }

        @Override
        public String toString() {
            return "%s%.1f".formatted(isWhole ? "" : "> ", millis);
        }
    }

    /** How many blobs are read by turns: more than fit into the database's cache at once would measure the disk. */
    int blobs() {
        return size <= 1 << 16 ? 1_000 : size <= 1 << 20 ? 40 : 3;
    }

    String path(int blob) {
        return "/bench/" + size + "/" + blob;
    }

    /** Makes what GETs read. */
    void prepare(URI server) throws IOException {
        try (LoadClient client = new LoadClient(server, new LongAdder())) {
            for (int blob = 0; blob < blobs(); blob++) {
                client.put(path(blob), size, CONTENT);
            }
        }
    }

    Result run(URI server, Duration warmUp, Duration duration) throws InterruptedException {
        LongAdder transferred = new LongAdder();
        AtomicReference<Throwable> failure = new AtomicReference<>();
        List<LoadClient> running = new ArrayList<>();
        List<Thread> threads = new ArrayList<>();
        List<List<Latency>> latencies = new ArrayList<>();
        long measuredFrom = System.nanoTime() + warmUp.toNanos();
        long end = measuredFrom + duration.toNanos();
        for (int number = 0; number < clients; number++) {
            LoadClient client = new LoadClient(server, transferred);
            List<Latency> own = new ArrayList<>();
            int first = number;
            running.add(client);
            latencies.add(own);
            threads.add(Thread.ofPlatform().start(() -> {
                long start = System.nanoTime();
                try {
                    for (int turn = 0; start - end < 0; turn++) {
                        if (operation.equals("GET")) {
                            client.get(path((first + turn * 7) % blobs()));
                        } else {
                            client.put("/bench/put/" + first, size, CONTENT);
                        }
                        if (System.nanoTime() - measuredFrom >= 0) {
                            own.add(Latency.since(start, true));
                        }
                        start = System.nanoTime();
                    }
                } catch (IOException e) {
                    if (System.nanoTime() - end < 0) {
                        failure.set(e);
                    }
                    own.add(Latency.since(start, false));
                }
            }));
        }
        Thread.sleep(warmUp);
        long before = transferred.sum();
        Thread.sleep(duration);
        double bytes = (transferred.sum() - before) / seconds(duration);
        for (LoadClient client : running) {
            try {
                // Small requests end by themselves; large ones are broken off.
                if (size > 1 << 20) {
                    client.close();
                }
            } catch (IOException e) {
                failure.compareAndSet(null, e);
            }
        }
        for (Thread thread : threads) {
            thread.join();
        }
        for (LoadClient client : running) {
            try {
                client.close();
            } catch (IOException e) {
                failure.compareAndSet(null, e);
            }
        }
        if (failure.get() != null) {
            throw new IllegalStateException(this + " failed", failure.get());
        }
        List<Latency> all = latencies.stream().flatMap(List::stream).toList();
        long ended = all.stream().filter(Latency::isWhole).count();
        return new Result(
                bytes, ended / seconds(duration), Latency.percentile(all, 0.5), Latency.percentile(all, 0.99));
    }

    private static double seconds(Duration duration) {
        return duration.toNanos() / 1e9;
    }

    static double median(double... values) {
        double[] sorted = values.clone();
        Arrays.sort(sorted);
        return sorted[sorted.length / 2];
    }
}
