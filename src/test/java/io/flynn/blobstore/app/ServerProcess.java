package io.flynn.blobstore.app;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.HttpURLConnection;
import java.net.URI;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.awaitility.Awaitility;

/** The server as a process of its own, on any free port. */
final class ServerProcess implements AutoCloseable {

    private static final Duration PATIENCE = Duration.ofSeconds(60);

    private static final Pattern PORT = Pattern.compile("\"port\":\"(\\d+)\"");

    private final Process process;
    private final StringBuffer log = new StringBuffer();
    private final Thread reader;

    /**
     * @param isOutputTaken whether somebody reads standard output; errors are read in any case
     * @param options of the JVM
     */
    ServerProcess(Map<String, String> environment, boolean isOutputTaken, String... options) throws IOException {
        ProcessBuilder builder = new ProcessBuilder(OurProgram.command(
                Stream.concat(Stream.of(options), Stream.of("server")).toArray(String[]::new)));
        builder.environment().clear();
        builder.environment().put("PORT", "0");
        builder.environment().put("BLOBSTORE_METRICS_PORT", "0");
        builder.environment().putAll(environment);
        builder.redirectErrorStream(isOutputTaken);
        process = builder.start();
        reader = Thread.startVirtualThread(() -> read(isOutputTaken ? process.inputReader() : process.errorReader()));
    }

    private void read(BufferedReader output) {
        try (BufferedReader lines = output) {
            lines.lines().forEach(line -> log.append(line).append('\n'));
        } catch (IOException | UncheckedIOException e) {
            log.append(e);
        }
    }

    /** SIGTERM. Not the process's own destroy(), which closes its log, too. */
    void terminate() {
        assertThat(process.toHandle().destroy()).isTrue();
    }

    /** SIGKILL, if it still runs. */
    @Override
    public void close() {
        process.destroyForcibly();
    }

    boolean isAlive() {
        return process.isAlive();
    }

    ServerProcess awaitReady() {
        Awaitility.await().atMost(PATIENCE).until(() -> {
            assertThat(process.isAlive()).as(log()).isTrue();
            return PORT.matcher(log).find() && status("/.well-known/ready") == 200;
        });
        return this;
    }

    private int status(String target) throws IOException {
        HttpURLConnection connection = (HttpURLConnection) uri(target).toURL().openConnection();
        try {
            return connection.getResponseCode();
        } finally {
            connection.disconnect();
        }
    }

    URI uri(String target) {
        Matcher port = PORT.matcher(log);
        assertThat(port.find()).as(log()).isTrue();
        return URI.create("http://127.0.0.1:" + port.group(1) + target);
    }

    String log() {
        return log.toString();
    }

    /** All that it wrote is in its log then. */
    int exitCode() throws InterruptedException {
        assertThat(process.waitFor(PATIENCE.toSeconds(), TimeUnit.SECONDS))
                .as(log())
                .isTrue();
        assertThat(reader.join(PATIENCE)).as(log()).isTrue();
        return process.exitValue();
    }
}
