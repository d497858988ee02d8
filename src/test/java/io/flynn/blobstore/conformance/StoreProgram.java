package io.flynn.blobstore.conformance;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.blob.Secret;
import io.flynn.blobstore.decide.BackendSettings;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.awaitility.Awaitility;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.s3.S3AsyncClient;

/** A store that runs as a program of its own, with one bucket. */
public final class StoreProgram implements AutoCloseable {

    public static final String ACCESS_KEY_ID = "conformance-key-id";
    public static final String SECRET_ACCESS_KEY = "conformance+secret/key=";
    public static final String BUCKET = "blobs";
    public static final String REGION = "us-east-1";

    private final ProcessBuilder builder;
    private final URI endpoint;
    private Process process;

    private StoreProgram(ProcessBuilder builder, URI endpoint) throws IOException {
        this.builder = builder;
        this.endpoint = endpoint;
        process = builder.start();
    }

    /** Skips the tests if the program isn't on the PATH. */
    public static StoreProgram minio(Path folder) throws IOException {
        Path program = require("minio");
        int port = freePort();
        return start(
                port,
                folder,
                Map.of("MINIO_ROOT_USER", ACCESS_KEY_ID, "MINIO_ROOT_PASSWORD", SECRET_ACCESS_KEY),
                program.toString(),
                "server",
                "--quiet",
                "--address",
                "127.0.0.1:" + port,
                folder.resolve("data").toString());
    }

    /** Skips the tests if the program isn't on the PATH. */
    public static StoreProgram versitygw(Path folder) throws IOException {
        Path program = require("versitygw");
        int port = freePort();
        Path data = Files.createDirectory(folder.resolve("data"));
        return start(
                port,
                folder,
                Map.of("ROOT_ACCESS_KEY", ACCESS_KEY_ID, "ROOT_SECRET_KEY", SECRET_ACCESS_KEY),
                program.toString(),
                "--port",
                "127.0.0.1:" + port,
                "--region",
                REGION,
                "posix",
                "--sidecar",
                Files.createDirectory(folder.resolve("attributes")).toString(),
                data.toString());
    }

    /** A Java program of the class path that tests run on, which is told its port, its folder, and the two halves of the key. */
    public static StoreProgram java(String mainClass, Path folder) throws IOException {
        int port = freePort();
        return start(
                port,
                folder,
                Map.of(),
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:+UseSerialGC",
                "-Xmx256m",
                "-cp",
                System.getProperty("java.class.path"),
                mainClass,
                Integer.toString(port),
                Files.createDirectory(folder.resolve("data")).toString(),
                ACCESS_KEY_ID,
                SECRET_ACCESS_KEY);
    }

    private static Path require(String name) {
        Optional<Path> program = find(name);
        assumeTrue(program.isPresent(), "no " + name + " on the PATH");
        return program.orElseThrow();
    }

    /** Where the PATH has it. */
    public static Optional<Path> find(String name) {
        return Stream.of(System.getenv().getOrDefault("PATH", "").split(":"))
                .map(folder -> Path.of(folder, name))
                .filter(Files::isExecutable)
                .findFirst();
    }

    private static int freePort() throws IOException {
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return socket.getLocalPort();
        }
    }

    private static StoreProgram start(int port, Path folder, Map<String, String> variables, String... command)
            throws IOException {
        ProcessBuilder builder = new ProcessBuilder(new ArrayList<>(List.of(command)))
                .redirectErrorStream(true)
                .redirectOutput(
                        ProcessBuilder.Redirect.appendTo(folder.resolve("log").toFile()));
        builder.environment().putAll(variables);
        StoreProgram store = new StoreProgram(builder, URI.create("http://127.0.0.1:" + port));
        try {
            store.createBucket();
            return store;
        } catch (RuntimeException e) {
            store.close();
            throw new IllegalStateException(Files.readString(folder.resolve("log")), e);
        }
    }

    private void createBucket() {
        try (S3AsyncClient s3 = S3AsyncClient.builder()
                .endpointOverride(endpoint)
                .region(Region.of(REGION))
                .forcePathStyle(true)
                .credentialsProvider(
                        StaticCredentialsProvider.create(AwsBasicCredentials.create(ACCESS_KEY_ID, SECRET_ACCESS_KEY)))
                .build()) {
            Awaitility.await().atMost(Duration.ofSeconds(30)).ignoreExceptions().until(() -> {
                s3.createBucket(request -> request.bucket(BUCKET)).join();
                return true;
            });
        }
    }

    /** How to reach its bucket. */
    public BackendSettings backend(BackendName name) {
        return new BackendSettings(
                name,
                BackendSettings.Kind.S3,
                REGION,
                BUCKET,
                Optional.of(endpoint),
                true,
                new Secret(ACCESS_KEY_ID),
                new Secret(SECRET_ACCESS_KEY));
    }

    public URI endpoint() {
        return endpoint;
    }

    /** SIGKILL. */
    public void kill() {
        process.destroyForcibly().onExit().join();
    }

    /** On the same port and folder; may not take requests yet. */
    public void startAgain() throws IOException {
        process = builder.start();
    }

    @Override
    public void close() {
        process.destroy();
        try {
            if (!process.waitFor(10, TimeUnit.SECONDS)) {
                process.destroyForcibly();
            }
        } catch (InterruptedException e) {
            process.destroyForcibly();
            Thread.currentThread().interrupt();
        }
    }
}
