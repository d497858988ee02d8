package io.flynn.blobstore.serve;

import static java.util.Map.entry;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.flynn.blobstore.decide.InvalidSettingException;
import io.flynn.blobstore.serve.ServerSettings.Deletion;
import io.flynn.blobstore.serve.ServerSettings.Limits;
import io.flynn.blobstore.serve.ServerSettings.Redirects;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ServerSettingsTest {

    @Test
    void everythingHasADefault() {
        assertThat(ServerSettings.decode(Map.of("PORT", "")))
                .isEqualTo(new ServerSettings(
                        8080,
                        9090,
                        true,
                        new Limits(
                                4096, Duration.ofSeconds(60), Duration.ofSeconds(10), 1024, 16 * 1024, Long.MAX_VALUE),
                        new Redirects(true, Duration.ofMinutes(10)),
                        new Deletion(Duration.ofMinutes(15), 50),
                        Optional.of(Path.of("/tmp")),
                        256,
                        16,
                        Duration.ofSeconds(2),
                        Duration.ofSeconds(5),
                        Duration.ofSeconds(20)));
    }

    @Test
    void everythingCanBeSet() {
        assertThat(ServerSettings.decode(Map.ofEntries(
                        entry("PORT", "80"),
                        entry("BLOBSTORE_METRICS_PORT", "off"),
                        entry("BLOBSTORE_ACCESS_LOG", "false"),
                        entry("BLOBSTORE_CONNECTIONS", "100"),
                        entry("BLOBSTORE_IDLE_TIMEOUT", "1h"),
                        entry("BLOBSTORE_HEADER_TIMEOUT", "1s"),
                        entry("BLOBSTORE_MIN_RATE", "0"),
                        entry("BLOBSTORE_MAX_BLOB_SIZE", "5Gi"),
                        entry("BLOBSTORE_HEADER_SIZE", "8192"),
                        entry("BLOBSTORE_REDIRECT", "false"),
                        entry("BLOBSTORE_LINK_LIFETIME", "168h"),
                        entry("BLOBSTORE_DELETE_AFTER", "720h"),
                        entry("BLOBSTORE_DELETES_PER_SECOND", "7"),
                        entry("BLOBSTORE_SPOOL_DIR", "off"),
                        entry("BLOBSTORE_STORE_CONNECTIONS", "10000"),
                        entry("BLOBSTORE_DATABASE_CONNECTIONS", "4"),
                        entry("BLOBSTORE_DATABASE_WAIT", "250ms"),
                        entry("BLOBSTORE_DRAIN_DELAY", "500ms"),
                        entry("BLOBSTORE_DRAIN_GRACE", "2m"))))
                .isEqualTo(new ServerSettings(
                        80,
                        -1,
                        false,
                        new Limits(100, Duration.ofHours(1), Duration.ofSeconds(1), 0, 8192, 5L << 30),
                        new Redirects(false, Duration.ofDays(7)),
                        new Deletion(Duration.ofDays(30), 7),
                        Optional.empty(),
                        10_000,
                        4,
                        Duration.ofMillis(250),
                        Duration.ofMillis(500),
                        Duration.ofMinutes(2)));
    }

    @Test
    void objectsMayNotGoBeforeTheLinksToThem() {
        assertThatThrownBy(() ->
                        ServerSettings.decode(Map.of("BLOBSTORE_LINK_LIFETIME", "1h", "BLOBSTORE_DELETE_AFTER", "1h")))
                .isInstanceOf(InvalidSettingException.class)
                .hasMessageContainingAll("BLOBSTORE_DELETE_AFTER", "3600 s", "use 3900s or more");
        assertThat(ServerSettings.decode(Map.of("BLOBSTORE_LINK_LIFETIME", "1h"))
                        .deletion()
                        .after())
                .isEqualTo(Duration.ofMinutes(65));
    }

    @ParameterizedTest
    @CsvSource({
        "PORT, 65536",
        "PORT, -1",
        "PORT, tcp://10.0.0.1:80",
        "BLOBSTORE_METRICS_PORT, none",
        "BLOBSTORE_ACCESS_LOG, yes",
        "BLOBSTORE_CONNECTIONS, 0",
        "BLOBSTORE_IDLE_TIMEOUT, 99ms",
        "BLOBSTORE_HEADER_TIMEOUT, 0s",
        "BLOBSTORE_MIN_RATE, -1",
        "BLOBSTORE_MAX_BLOB_SIZE, 0",
        "BLOBSTORE_HEADER_SIZE, 16KB",
        "BLOBSTORE_HEADER_SIZE, 999999999999Ti",
        "BLOBSTORE_REDIRECT, no",
        "BLOBSTORE_LINK_LIFETIME, 999ms",
        "BLOBSTORE_LINK_LIFETIME, 604801s",
        "BLOBSTORE_DELETE_AFTER, 4m",
        "BLOBSTORE_DELETES_PER_SECOND, 0",
        "BLOBSTORE_SPOOL_DIR, tmp",
        "BLOBSTORE_STORE_CONNECTIONS, 0",
        "BLOBSTORE_STORE_CONNECTIONS, 10001",
        "BLOBSTORE_DATABASE_CONNECTIONS, 0",
        "BLOBSTORE_DATABASE_CONNECTIONS, 99999999999",
        "BLOBSTORE_DATABASE_WAIT, 249ms",
        "BLOBSTORE_DRAIN_DELAY, 5",
        "BLOBSTORE_DRAIN_GRACE, -5s"
    })
    void wrongValuesAreNamed(String variable, String value) {
        assertThatThrownBy(() -> ServerSettings.decode(Map.of(variable, value)))
                .isInstanceOf(InvalidSettingException.class)
                .hasMessageContaining(variable)
                .hasMessageContaining(value)
                .hasMessageContaining("use a ");
    }
}
