package io.flynn.blobstore.serve;

import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.store.Pauses;
import io.flynn.blobstore.testkit.EmbeddedPg;
import java.io.InputStream;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;

/** A role that was given the time-outs that web applications get ({@code ALTER ROLE … SET}): each shorter than what is done here. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class RoleTimeoutsIT {

    private static final Duration LONGER = Duration.ofMillis(900);

    private final EmbeddedPg.Database database = EmbeddedPg.database();
    private final String role = EmbeddedPg.role();
    private RunningServer server;

    @BeforeAll
    void start() {
        database.execute("ALTER ROLE " + role + " SUPERUSER");
        for (String timeout : List.of(
                "statement_timeout",
                "lock_timeout",
                "idle_in_transaction_session_timeout",
                "idle_session_timeout",
                "transaction_timeout")) {
            if (database.count("SELECT count(*) FROM pg_settings WHERE name = '" + timeout + "'") > 0) {
                database.execute("ALTER ROLE %s SET %s = '300ms'".formatted(role, timeout));
            }
        }
        server = RunningServer.ready(database.environment(role));
    }

    @AfterAll
    void stop() {
        server.close();
        database.close();
    }

    @Test
    void slowUploadIsNotEndedByTheRolesTimeouts() throws Exception {
        byte[] part = new byte[300_000];
        try (SlowPut upload = new SlowPut(server.port(), "/upload", 2L * part.length)) {
            upload.send(part);
            Pauses.sleep(LONGER);
            upload.send(part);
            assertThat(upload.status()).isEqualTo(200);
        }

        assertThat(server.head("/upload").headers().firstValue("Content-Length"))
                .contains("600000");
    }

    /** More than what lies between the database and a client fills. */
    @Test
    void slowDownloadIsNotEndedByTheRolesTimeouts() throws Exception {
        byte[] bytes = new byte[48 << 20];
        assertThat(server.put("/download", bytes).statusCode()).isEqualTo(200);

        try (Socket socket = new Socket("127.0.0.1", server.port())) {
            socket.setSoTimeout(20_000);
            socket.getOutputStream()
                    .write("GET /download HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
                            .getBytes(StandardCharsets.US_ASCII));
            InputStream answer = socket.getInputStream();
            assertThat(new String(answer.readNBytes(12), StandardCharsets.US_ASCII))
                    .isEqualTo("HTTP/1.1 200");
            Pauses.sleep(LONGER);
            assertThat(answer.readAllBytes().length).isGreaterThan(bytes.length);
        }
    }

    @Test
    void changeWaitsForALockLongerThanTheRoleMay() throws Exception {
        server.put("/locked", "old");
        try (var holder = database.connect();
                var statement = holder.createStatement();
                SlowPut upload = new SlowPut(server.port(), "/locked", 3)) {
            holder.setAutoCommit(false);
            statement.execute("SELECT FROM files WHERE name = '/locked' FOR UPDATE");
            upload.send("new");
            Pauses.sleep(LONGER);
            holder.commit();
            assertThat(upload.status()).isEqualTo(200);
        }

        assertThat(RunningServer.text(server.get("/locked"))).isEqualTo("new");
    }
}
