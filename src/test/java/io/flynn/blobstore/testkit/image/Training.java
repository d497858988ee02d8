package io.flynn.blobstore.testkit.image;

import io.fabric8.kubernetes.api.model.NamespaceBuilder;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.testkit.EmbeddedPg;
import io.flynn.blobstore.testkit.LocalS3;
import io.flynn.blobstore.testkit.cluster.LocalCluster;
import io.flynn.blobstore.testkit.story.Content;
import io.flynn.blobstore.testkit.story.Database;
import io.flynn.blobstore.testkit.story.HttpBlobstore;
import io.flynn.blobstore.testkit.story.Ledger;
import io.flynn.blobstore.testkit.story.OldState;
import java.io.IOException;
import java.net.ServerSocket;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.awaitility.Awaitility;

/**
 * Runs every role once for what pods do in their first seconds, against real parts on this machine, so that the JVM which runs them can note the
 * classes that it loads: {@code Training FOLDER COMMAND...}, where COMMAND runs the program up to its arguments.
 */
public final class Training {

    private static final String BUCKET = "training";
    private static final BackendName BACKEND = new BackendName("s3main");
    private static final String NAMESPACE = "training";
    private static final Duration PATIENCE = Duration.ofMinutes(2);

    private final Path folder;
    private final List<String> command;
    private final Map<String, String> environment = new HashMap<>();
    private int runs;

    private Training(Path folder, List<String> command) {
        this.folder = folder;
        this.command = command;
    }

    public static void main(String[] arguments) throws Exception {
        List<String> all = List.of(arguments);
        new Training(Path.of(all.getFirst()), all.subList(1, all.size())).run();
    }

    private void run() throws Exception {
        try (EmbeddedPg.Database database = EmbeddedPg.database();
                LocalS3 s3 = LocalS3.start()) {
            s3.createBucket(BUCKET);
            environment.putAll(database.environment(EmbeddedPg.SUPERUSER));
            environment.putAll(s3.environment(BACKEND, BUCKET));
            environment.put("BLOBSTORE_REPORT", folder.resolve("report").toString());
            Ledger ledger = new Ledger();
            OldState.light(1)
                    .write(
                            new Database(database.host(), database.port(), database.name(), EmbeddedPg.SUPERUSER, ""),
                            ledger);
            serve("postgres", ledger);
            work();
            serve(BACKEND.value(), ledger);
            operate();
        }
    }

    private void serve(String defaultBackend, Ledger ledger) throws Exception {
        int port;
        try (ServerSocket free = new ServerSocket(0)) {
            port = free.getLocalPort();
        }
        Map<String, String> own = new HashMap<>(environment);
        own.putAll(Map.of(
                "DEFAULT_BACKEND", defaultBackend, "PORT", Integer.toString(port), "BLOBSTORE_DRAIN_DELAY", "0s"));
        Process server = start(own, "server");
        try (HttpBlobstore blobstore = new HttpBlobstore(URI.create("http://127.0.0.1:" + port))) {
            await(server, blobstore::isHealthy);
            for (String name : ledger.names().subList(0, 20)) {
                blobstore.get(name);
                blobstore.head(name);
            }
            blobstore.put("/training", Content.of(1, "/training", 100_000));
            blobstore.get("/training");
            blobstore.delete("/training");
        } finally {
            stop(server);
        }
    }

    private void work() throws Exception {
        environment.put("DEFAULT_BACKEND", BACKEND.value());
        String of = " --migration 00000000-0000-4000-8000-000000000000 --name training/training";
        for (String stage : List.of(
                "probe --backend s3main",
                "plan --from postgres --to s3main --cleanup Delete --vacuum Auto" + of,
                "copy --from postgres --to s3main" + of,
                "verify --from postgres --to s3main" + of,
                "clean --to s3main" + of,
                "vacuum --mode Auto" + of)) {
            Process worker = start(environment, ("worker " + stage).split(" "));
            if (!worker.waitFor(PATIENCE.toSeconds(), TimeUnit.SECONDS) || worker.exitValue() != 0) {
                worker.destroyForcibly();
                throw new IllegalStateException("worker %s did not end well: see %s".formatted(stage, folder));
            }
        }
    }

    /** Up to the first Job, which nobody runs. */
    private void operate() throws Exception {
        try (LocalCluster cluster = LocalCluster.start();
                KubernetesClient client = cluster.client("trainer", NAMESPACE)) {
            client.namespaces()
                    .resource(new NamespaceBuilder()
                            .withNewMetadata()
                            .withName(NAMESPACE)
                            .endMetadata()
                            .build())
                    .create();
            for (String file : List.of(
                    "crds/blobstorebackends.yaml",
                    "crds/blobmigrations.yaml",
                    "src/test/resources/story/blobstore.yaml",
                    "examples/backend.yaml",
                    "examples/migration.yaml")) {
                client.resourceList(Files.readString(Path.of(file)))
                        .resources()
                        .forEach(resource -> resource.fieldManager("kubectl").serverSideApply());
            }
            Map<String, String> own = Map.of(
                    "KUBECONFIG",
                    cluster.kubeconfig(folder.resolve("kubeconfig"), "operator", NAMESPACE)
                            .toString(),
                    "POD_NAMESPACE",
                    NAMESPACE,
                    "POD_NAME",
                    "operator-0",
                    "BLOBSTORE_IMAGE",
                    "blobstore-operator:training",
                    "BLOBSTORE_ALLOW_INSECURE_ENDPOINTS",
                    "true",
                    "BLOBSTORE_HTTP_PORT",
                    "0");
            Process operator = start(own, "operator");
            try {
                await(
                        operator,
                        () -> !client.batch().v1().jobs().list().getItems().isEmpty());
            } finally {
                stop(operator);
            }
        }
    }

    private interface Condition {
        boolean holds() throws Exception;
    }

    private void await(Process process, Condition condition) {
        Awaitility.await().atMost(PATIENCE).until(() -> {
            if (!process.isAlive()) {
                throw new IllegalStateException("it ended with %d: see %s".formatted(process.exitValue(), folder));
            }
            return condition.holds();
        });
    }

    private Process start(Map<String, String> own, String... arguments) throws IOException {
        List<String> words = new ArrayList<>(command);
        words.addAll(List.of(arguments));
        ProcessBuilder builder = new ProcessBuilder(words)
                .redirectErrorStream(true)
                .redirectOutput(folder.resolve("run-%d.log".formatted(++runs)).toFile());
        builder.environment().clear();
        builder.environment().putAll(own);
        return builder.start();
    }

    /** As Kubernetes asks for it, since stopping loads classes too. */
    private static void stop(Process process) throws InterruptedException {
        process.destroy();
        if (!process.waitFor(PATIENCE.toSeconds(), TimeUnit.SECONDS)) {
            process.destroyForcibly();
            throw new IllegalStateException("it doesn't stop");
        }
    }
}
