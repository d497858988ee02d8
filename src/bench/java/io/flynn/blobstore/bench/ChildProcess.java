package io.flynn.blobstore.bench;

import java.io.IOException;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/** A Java program of this class path in a process of its own, and what processes cost, by /proc. */
final class ChildProcess implements AutoCloseable {

    private static final double TICKS_PER_SECOND = 100;

    private static final Duration START = Duration.ofSeconds(60);

    private final Process process;

    private ChildProcess(Process process) {
        this.process = process;
    }

    /** Returns once it listens on {@code port}. */
    static ChildProcess start(
            Path log,
            Map<String, String> environment,
            int port,
            List<String> jvm,
            String mainClass,
            String... arguments)
            throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-cp",
                System.getProperty("java.class.path")));
        command.addAll(jvm);
        command.add(mainClass);
        command.addAll(Arrays.asList(arguments));
        ProcessBuilder builder =
                new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile());
        builder.environment().putAll(environment);
        ChildProcess child = new ChildProcess(builder.start());
        long end = System.nanoTime() + START.toNanos();
        while (!isListening(port)) {
            if (!child.process.isAlive() || System.nanoTime() - end > 0) {
                throw new IllegalStateException(mainClass + " did not start: " + log);
            }
            Thread.sleep(50);
        }
        return child;
    }

    private static boolean isListening(int port) {
        try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), port)) {
            return socket.isConnected();
        } catch (IOException e) {
            return false;
        }
    }

    double cpuSeconds() throws IOException {
        return cpuSeconds(process.pid());
    }

    /** The most that it ever had in memory at once, in MiB. */
    long peakMebibytes() throws IOException {
        return peakMebibytes(process.pid());
    }

    /** The same of any process; 0 if it has ended. */
    static long peakMebibytes(long pid) throws IOException {
        try (Stream<String> lines = Files.lines(Path.of("/proc/" + pid + "/status"))) {
            return lines.filter(line -> line.startsWith("VmHWM:"))
                    .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")) / 1024)
                    .findFirst()
                    .orElse(0);
        } catch (NoSuchFileException e) {
            return 0;
        }
    }

    /** Of all children of this process that have ended. */
    static double cpuSecondsOfEndedChildren() throws IOException {
        String[] stat = stat(ProcessHandle.current().pid());
        return (ticks(stat, 15) + ticks(stat, 16)) / TICKS_PER_SECOND;
    }

    /** Of a process and of its children, those too that have ended. */
    static double cpuSecondsOfFamily(long parent) throws IOException {
        double sum = 0;
        try (Stream<ProcessHandle> children =
                ProcessHandle.of(parent).orElseThrow().children()) {
            for (ProcessHandle child : children.toList()) {
                if (Files.exists(Path.of("/proc/" + child.pid()))) {
                    sum += cpuSeconds(child.pid());
                }
            }
        }
        String[] stat = stat(parent);
        return sum + (ticks(stat, 13) + ticks(stat, 14) + ticks(stat, 15) + ticks(stat, 16)) / TICKS_PER_SECOND;
    }

    static double cpuSeconds(long pid) throws IOException {
        String[] stat = stat(pid);
        return (ticks(stat, 13) + ticks(stat, 14)) / TICKS_PER_SECOND;
    }

    /** Fields as proc(5) counts them, less one. */
    private static String[] stat(long pid) throws IOException {
        String stat = Files.readString(Path.of("/proc/" + pid + "/stat"));
        // The name may hold anything, also spaces.
        return ("0 name" + stat.substring(stat.lastIndexOf(')') + 1)).split(" ");
    }

    private static long ticks(String[] stat, int field) {
        return Long.parseLong(stat[field]);
    }

    @Override
    public void close() {
        process.destroyForcibly().onExit().join();
    }
}
