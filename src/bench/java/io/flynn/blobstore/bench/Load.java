package io.flynn.blobstore.bench;

import java.io.IOException;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
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
     * @param p50 of those that ended, in milliseconds; NaN if none did
     */
    record Result(double bytesPerSecond, double requestsPerSecond, double p50, double p99) {}

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
        List<List<Long>> latencies = new ArrayList<>();
        long measuredFrom = System.nanoTime() + warmUp.toNanos();
        long end = measuredFrom + duration.toNanos();
        for (int number = 0; number < clients; number++) {
            LoadClient client = new LoadClient(server, transferred);
            List<Long> own = new ArrayList<>();
            int first = number;
            running.add(client);
            latencies.add(own);
            threads.add(Thread.ofPlatform().start(() -> {
                try {
                    for (int turn = 0; System.nanoTime() - end < 0; turn++) {
                        long start = System.nanoTime();
                        if (operation.equals("GET")) {
                            client.get(path((first + turn * 7) % blobs()));
                        } else {
                            client.put("/bench/put/" + first, size, CONTENT);
                        }
                        if (start - measuredFrom >= 0) {
                            own.add(System.nanoTime() - start);
                        }
                    }
                } catch (IOException e) {
                    if (System.nanoTime() - end < 0) {
                        failure.set(e);
                    }
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
        long[] all = latencies.stream()
                .flatMap(List::stream)
                .mapToLong(Long::longValue)
                .sorted()
                .toArray();
        return new Result(bytes, all.length / seconds(duration), percentile(all, 0.5), percentile(all, 0.99));
    }

    private static double percentile(long[] sorted, double share) {
        return sorted.length == 0 ? Double.NaN : sorted[(int) (share * (sorted.length - 1))] / 1e6;
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
