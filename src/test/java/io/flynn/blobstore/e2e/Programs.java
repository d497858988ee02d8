package io.flynn.blobstore.e2e;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/** {@code kubectl} and {@code helm}, as a user types them. Thread-safe. */
final class Programs {

    private final Path kubeconfig;
    private final String namespace;

    Programs(Path kubeconfig, String namespace) {
        this.kubeconfig = kubeconfig;
        this.namespace = namespace;
    }

    static Optional<Path> find(String name) {
        return Stream.of(System.getenv().getOrDefault("PATH", "").split(":"))
                .map(folder -> Path.of(folder, name))
                .filter(Files::isExecutable)
                .findFirst();
    }

    String kubectl(String... arguments) throws IOException {
        return run(Duration.ofMinutes(2), "", "kubectl", arguments);
    }

    void apply(String yaml) throws IOException {
        run(Duration.ofMinutes(1), yaml, "kubectl", "apply", "-f", "-");
    }

    String helm(String... arguments) throws IOException {
        return run(Duration.ofMinutes(5), "", "helm", arguments);
    }

    /** Everything that may explain a failure. */
    String state() {
        StringBuilder state = new StringBuilder();
        for (List<String> question : List.of(
                List.of("get", "blobstorebackends,blobmigrations,deployments,jobs,pods", "-o", "wide"),
                List.of("get", "blobstorebackends,blobmigrations", "-o", "yaml"),
                List.of("get", "events", "--sort-by=.lastTimestamp"),
                List.of("logs", "-l", "app.kubernetes.io/name=blobstore-operator", "--tail=60"),
                List.of("logs", "-l", "app.kubernetes.io/component=worker", "--tail=10", "--prefix"),
                List.of("logs", "-l", "app=blobstore", "--tail=20", "--prefix"))) {
            state.append("\n$ kubectl ").append(String.join(" ", question)).append('\n');
            try {
                state.append(kubectl(question.toArray(String[]::new)));
            } catch (IOException e) {
                state.append(e.getMessage());
            }
        }
        return state.toString();
    }

    private String run(Duration patience, String input, String program, String... arguments) throws IOException {
        List<String> command = Stream.concat(Stream.of(program, "--namespace", namespace), Stream.of(arguments))
                .toList();
        ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
        builder.environment().put("KUBECONFIG", kubeconfig.toString());
        Process process = builder.start();
        Thread limit = Thread.ofVirtual().start(() -> endAfter(patience, process));
        try {
            try (var stdin = process.getOutputStream()) {
                stdin.write(input.getBytes(StandardCharsets.UTF_8));
            }
            String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            int exit = process.waitFor();
            if (exit != 0) {
                throw new IOException("%s exited with %d: %s".formatted(String.join(" ", command), exit, output));
            }
            return output;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new InterruptedIOException(program);
        } finally {
            process.destroyForcibly();
            limit.interrupt();
        }
    }

    private static void endAfter(Duration patience, Process process) {
        try {
            if (!process.waitFor(patience.toSeconds(), TimeUnit.SECONDS)) {
                process.destroyForcibly();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
