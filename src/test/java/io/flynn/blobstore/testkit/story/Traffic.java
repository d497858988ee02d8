package io.flynn.blobstore.testkit.story;

import java.io.IOException;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Queue;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Clients that read, write, overwrite and delete without pause until they are told to stop, note what was acknowledged in the
 * {@link Ledger}, and check every byte that they read against it. A request that fails, whose answer is lost or whose bytes are
 * wrong is a failed one: clients here never try again, but on a connection that was closed while it was idle.
 *
 * <p>Every so often one keeps a redirect aside; {@link #followKeptRedirects} follows them at the end, when the names may long
 * have been overwritten or deleted.
 */
public final class Traffic implements AutoCloseable {

    /** Between two requests of one client: enough to leave the two cores to those who are being watched. */
    private static final Duration THINKING = Duration.ofMillis(15);

    /** What clients write: mostly small. Small enough to let a run of minutes stay small as a whole. */
    private static final long WRITTEN_BYTES_MAX = 200_000;

    private static final int KEPT_REDIRECTS_MAX = 200;

    private final Ledger ledger;
    private final HttpBlobstore blobstore;
    private final List<String> oldNames;
    private final CountDownLatch stop = new CountDownLatch(1);
    private final List<Thread> clients = new ArrayList<>();
    private final long started = System.nanoTime();
    private final AtomicLong requests = new AtomicLong();
    private final Queue<String> failures = new ConcurrentLinkedQueue<>();
    private final Queue<Kept> kept = new ConcurrentLinkedQueue<>();

    private record Kept(String name, URI location, Set<Optional<Fingerprint>> possible) {}

    private Traffic(URI base, Ledger ledger) {
        this.ledger = ledger;
        blobstore = new HttpBlobstore(base);
        oldNames = ledger.names();
    }

    /** Clients on everything that {@code ledger} holds, and on names of their own. */
    public static Traffic start(URI base, Ledger ledger, int clients, long seed) {
        Traffic traffic = new Traffic(base, ledger);
        SplittableRandom random = new SplittableRandom(seed);
        for (int i = 0; i < clients; i++) {
            Client client = traffic.new Client(i, random.split());
            traffic.clients.add(Thread.ofVirtual().name("client-" + i).start(client::run));
        }
        return traffic;
    }

    /** Requests answered so far, rightly or wrongly. */
    public long requests() {
        return requests.get();
    }

    /** What failed so far, one line each. */
    public List<String> failures() {
        return List.copyOf(failures);
    }

    /** Lets every request that is under way end, then returns. */
    public void stop() throws InterruptedException {
        stop.countDown();
        for (Thread client : clients) {
            client.join();
        }
    }

    /**
     * Follows every redirect that was kept: each must still show what the blob was when it was handed out.
     *
     * @return how many there were
     */
    public int followKeptRedirects() throws InterruptedException {
        for (Kept redirect : kept) {
            requests.incrementAndGet();
            try {
                Fingerprint seen = blobstore.follow(redirect.location());
                if (!redirect.possible().contains(Optional.of(seen))) {
                    failures.add("redirect kept for %s shows %s".formatted(redirect.name(), seen));
                }
            } catch (IOException e) {
                failures.add("redirect kept for %s: %s".formatted(redirect.name(), e));
            }
        }
        return kept.size();
    }

    @Override
    public void close() {
        stop.countDown();
        blobstore.close();
    }

    /** One client: its own names, its own luck. */
    private final class Client {
        private final int number;
        private final SplittableRandom random;
        private final List<String> ownNames = new ArrayList<>();
        private int written;

        Client(int number, SplittableRandom random) {
            this.number = number;
            this.random = random;
        }

        void run() {
            try {
                while (!stop.await(THINKING.toMillis(), TimeUnit.MILLISECONDS)) {
                    int luck = random.nextInt(100);
                    if (luck < 50) {
                        read(anyName());
                    } else if (luck < 60) {
                        head(anyName());
                    } else if (luck < 65) {
                        keepRedirect(anyName());
                    } else if (luck < 80) {
                        write(newName());
                    } else if (luck < 92) {
                        write(anyName());
                    } else {
                        delete(anyName());
                    }
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }

        private String newName() {
            String name = "/traffic/client %d/%04d+%%.bin".formatted(number, ownNames.size());
            ownNames.add(name);
            return name;
        }

        private String anyName() {
            List<String> names = ownNames.isEmpty() || random.nextInt(3) == 0 ? oldNames : ownNames;
            return names.get(random.nextInt(names.size()));
        }

        private void read(String name) throws InterruptedException {
            Ledger.Reading reading = ledger.read(name);
            attempt("GET " + name, () -> {
                Optional<Fingerprint> seen = blobstore.get(name);
                return reading.allows(seen) ? "" : "shows " + seen;
            });
        }

        private void head(String name) throws InterruptedException {
            Ledger.Reading reading = ledger.read(name);
            attempt("HEAD " + name, () -> {
                Optional<Long> size = blobstore.head(name);
                return reading.possible().stream()
                                .anyMatch(state -> state.map(Fingerprint::size).equals(size))
                        ? ""
                        : "shows " + size;
            });
        }

        private void keepRedirect(String name) throws InterruptedException {
            Ledger.Reading reading = ledger.read(name);
            attempt("GET " + name, () -> {
                Optional<URI> location = blobstore.redirect(name);
                if (location.isPresent() && kept.size() < KEPT_REDIRECTS_MAX) {
                    kept.add(new Kept(name, location.get(), reading.possible()));
                }
                return "";
            });
        }

        private void write(String name) throws InterruptedException {
            long size = random.nextInt(4) == 0 ? random.nextLong(WRITTEN_BYTES_MAX) : random.nextLong(5_000);
            Content content = Content.of(number, name + written++, size);
            change("PUT " + name, name, Optional.of(content.fingerprint()), () -> blobstore.put(name, content));
        }

        private void delete(String name) throws InterruptedException {
            change("DELETE " + name, name, Optional.empty(), () -> blobstore.delete(name));
        }

        private void change(String what, String name, Optional<Fingerprint> after, Request request)
                throws InterruptedException {
            Optional<Ledger.Change> change = ledger.begin(name, after);
            if (change.isEmpty()) {
                return;
            }
            attempt(what, () -> {
                try {
                    request.send();
                } catch (IOException | InterruptedException e) {
                    change.get().unknown();
                    throw e;
                }
                change.get().acknowledged();
                return "";
            });
        }

        private void attempt(String what, Attempt attempt) throws InterruptedException {
            String wrong;
            try {
                wrong = attempt.run();
            } catch (IOException e) {
                wrong = e.toString();
            }
            requests.incrementAndGet();
            if (!wrong.isEmpty()) {
                Duration since = Duration.ofNanos(System.nanoTime() - started);
                failures.add("%s after %s: %s".formatted(what, Narrator.seconds(since), wrong));
            }
        }
    }

    private interface Request {
        void send() throws IOException, InterruptedException;
    }

    private interface Attempt {
        /** What is wrong with the answer, or nothing. */
        String run() throws IOException, InterruptedException;
    }
}
