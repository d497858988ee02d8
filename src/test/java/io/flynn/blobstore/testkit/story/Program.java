package io.flynn.blobstore.testkit.story;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** Our program as {@code mvn package} leaves it, and one run of it as a process of its own. */
final class Program implements AutoCloseable {

    private static final Path JAR = Path.of("target/blobstore-operator.jar");

    /** Longer than any role takes to stop when it is asked to. */
    private static final Duration STOP_MAX = Duration.ofSeconds(30);

    private final Process process;

    private Program(Process process) {
        this.process = process;
    }

    /** With the JDK that runs this, and small: several of them share two cores. */
    static List<String> command() {
        if (!Files.exists(JAR)) {
            throw new IllegalStateException(JAR.toAbsolutePath() + " is missing: run mvn -DskipTests package");
        }
        return List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-Xmx512m",
                "-jar",
                JAR.toAbsolutePath().toString());
    }

    /**
     * @param log gets all that it writes
     */
    static Program start(List<String> arguments, Map<String, String> environment, Path log) throws IOException {
        List<String> command = new ArrayList<>(command());
        command.addAll(arguments);
        ProcessBuilder builder = new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.appendTo(log.toFile()));
        builder.environment().putAll(environment);
        return new Program(builder.start());
    }

    boolean isAlive() {
        return process.isAlive();
    }

    /** As a node that loses power ends it. */
    void kill() {
        process.destroyForcibly().onExit().join();
    }

    /** As Kubernetes stops it: asked first, killed when it takes too long. */
    @Override
    public void close() {
        process.destroy();
        try {
            if (!process.waitFor(STOP_MAX.toSeconds(), TimeUnit.SECONDS)) {
                kill();
            }
        } catch (InterruptedException e) {
            process.destroyForcibly();
            Thread.currentThread().interrupt();
        }
    }
}
