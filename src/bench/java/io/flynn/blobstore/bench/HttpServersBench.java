package io.flynn.blobstore.bench;

import java.io.IOException;
import java.net.ServerSocket;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Which HTTP server serves streams best, without a database behind it. Writes a table in Markdown. */
public final class HttpServersBench {

    private static final List<String> SERVERS = List.of("Jetty", "Helidon", "JDK");
    private static final int ROUNDS = 3;
    private static final Duration WARM_UP = Duration.ofSeconds(1);
    private static final Duration DURATION = Duration.ofSeconds(1);

    private HttpServersBench() {}

    public static void main(String[] arguments) throws Exception {
        Path logs = Files.createTempDirectory("bench");
        List<URI> uris = new ArrayList<>();
        List<ChildProcess> processes = new ArrayList<>();
        try {
            for (String name : SERVERS) {
                int port = freePort();
                processes.add(ChildProcess.start(
                        logs.resolve(name),
                        Map.of(),
                        port,
                        List.of("-Xmx256m", "-Dsun.net.httpserver.nodelay=true"),
                        HttpServer.class.getName(),
                        name,
                        Integer.toString(port)));
                uris.add(URI.create("http://127.0.0.1:" + port));
            }
            System.out.println("| | clients | " + String.join(" | ", SERVERS) + " |");
            System.out.println("|---|---|" + "---|".repeat(SERVERS.size()));
            for (int size : new int[] {16 << 10, 1 << 20, 100 << 20}) {
                for (String operation : List.of("GET", "PUT")) {
                    for (int clients : new int[] {1, 64}) {
                        compare(new Load(operation, size, clients), uris, processes);
                    }
                }
            }
            System.out.print("| peak memory, MiB | |");
            for (ChildProcess process : processes) {
                System.out.print(" " + process.peakMebibytes() + " |");
            }
            System.out.println();
        } finally {
            processes.forEach(ChildProcess::close);
        }
    }

    private static void compare(Load load, List<URI> uris, List<ChildProcess> processes)
            throws IOException, InterruptedException {
        double[][] rates = new double[uris.size()][ROUNDS];
        double[] cpu = new double[uris.size()];
        double[] bytes = new double[uris.size()];
        for (int round = 0; round < ROUNDS; round++) {
            for (int server = 0; server < uris.size(); server++) {
                double before = processes.get(server).cpuSeconds();
                Load.Result result = load.run(uris.get(server), WARM_UP, DURATION);
                cpu[server] += processes.get(server).cpuSeconds() - before;
                bytes[server] +=
                        result.bytesPerSecond() * WARM_UP.plus(DURATION).toSeconds();
                rates[server][round] =
                        load.size() < 1 << 20 ? result.requestsPerSecond() : result.bytesPerSecond() / 1e6;
            }
        }
        StringBuilder row =
                new StringBuilder("| %s %d KiB | %d |".formatted(load.operation(), load.size() / 1024, load.clients()));
        for (int server = 0; server < uris.size(); server++) {
            row.append(" %.0f %s, %.2f s/GB |"
                    .formatted(
                            Load.median(rates[server]),
                            load.size() < 1 << 20 ? "/s" : "MB/s",
                            cpu[server] / (bytes[server] / 1e9)));
        }
        System.out.println(row);
    }

    private static int freePort() throws IOException {
        try (ServerSocket socket = new ServerSocket(0)) {
            return socket.getLocalPort();
        }
    }
}
