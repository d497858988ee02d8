package io.flynn.blobstore.bench;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.flynn.blobstore.app.OurProgram;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.random.RandomGenerator;

/** Runs the stages of a migration, each by some workers that are started again, as Jobs do, until they end by themselves. */
final class StageWorkers {

    /** Nothing here takes so long, however often it is killed. */
    private static final Duration PATIENCE = Duration.ofMinutes(4);

    private static final int TRY_AGAIN = 75;
    private static final ObjectMapper JSON = new ObjectMapper();

    private final Path folder;
    private final Set<Process> running = ConcurrentHashMap.newKeySet();
    private final Set<Long> killed = ConcurrentHashMap.newKeySet();
    private final AtomicInteger started = new AtomicInteger();

    /** @param folder for what they say */
    StageWorkers(Path folder) {
        this.folder = folder;
    }

    /** How a worker ended by itself. */
    record Ending(int code, String reason, String message) {}

    /** @return how each ended; none of them because somebody killed it, or to be started again */
    List<Ending> run(int workers, Map<String, String> environment, String... arguments) throws InterruptedException {
        List<Future<Ending>> endings = new ArrayList<>();
        try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
            Callable<Ending> worker = () -> untilItEnds(environment, arguments);
            for (int number = 0; number < workers; number++) {
                endings.add(threads.submit(worker));
            }
        }
        List<Ending> ended = new ArrayList<>();
        for (Future<Ending> ending : endings) {
            try {
                ended.add(ending.get());
            } catch (ExecutionException e) {
                throw new IllegalStateException(e.getCause().getMessage(), e.getCause());
            }
        }
        return ended;
    }

    /** SIGKILL to one of those that run; false if none does. */
    boolean killOne(RandomGenerator random) {
        List<Process> all = List.copyOf(running);
        if (all.isEmpty()) {
            return false;
        }
        Process one = all.get(random.nextInt(all.size()));
        killed.add(one.pid());
        one.destroyForcibly().onExit().join();
        return true;
    }

    private Ending untilItEnds(Map<String, String> environment, String... arguments)
            throws IOException, InterruptedException {
        long end = System.nanoTime() + PATIENCE.toNanos();
        while (true) {
            Path log = folder.resolve("worker-" + started.incrementAndGet());
            Process process = start(log, environment, arguments);
            running.add(process);
            boolean hasEnded = process.waitFor(Math.max(0, end - System.nanoTime()), TimeUnit.NANOSECONDS);
            running.remove(process);
            if (!hasEnded) {
                process.destroyForcibly().onExit().join();
                throw new KillBench.WrongException(
                        String.join(" ", arguments) + " came to no end in " + PATIENCE + ": " + log);
            }
            if (!killed.contains(process.pid()) && process.exitValue() != TRY_AGAIN) {
                return ending(process.exitValue(), log);
            }
        }
    }

    private static Process start(Path log, Map<String, String> environment, String... arguments) throws IOException {
        String[] command = new String[arguments.length + 1];
        command[0] = "-Xmx128m";
        System.arraycopy(arguments, 0, command, 1, arguments.length);
        ProcessBuilder builder = new ProcessBuilder(OurProgram.command(command))
                .redirectErrorStream(true)
                .redirectOutput(log.toFile());
        builder.environment().putAll(environment);
        builder.environment().put("BLOBSTORE_REPORT", log + ".report");
        return builder.start();
    }

    private static Ending ending(int code, Path log) {
        Path report = Path.of(log + ".report");
        try {
            if (!Files.exists(report)) {
                return new Ending(code, "", "no report, see " + log);
            }
            var json = JSON.readTree(report.toFile());
            return new Ending(
                    code,
                    json.path("reason").asText(),
                    json.path("message").asText() + " " + json.path("findings") + ", see " + log);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
