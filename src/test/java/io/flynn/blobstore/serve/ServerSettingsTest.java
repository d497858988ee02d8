package io.flynn.blobstore.serve;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.flynn.blobstore.decide.InvalidSettingException;
import java.time.Duration;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ServerSettingsTest {

    @Test
    void everythingHasADefault() {
        assertThat(ServerSettings.decode(Map.of("PORT", "")))
                .isEqualTo(new ServerSettings(8080, 16, Duration.ofSeconds(5), Duration.ofSeconds(20)));
    }

    @Test
    void everythingCanBeSet() {
        assertThat(ServerSettings.decode(Map.of(
                        "PORT", "80",
                        "BLOBSTORE_DATABASE_CONNECTIONS", "4",
                        "BLOBSTORE_DRAIN_DELAY", "500ms",
                        "BLOBSTORE_DRAIN_GRACE", "2m")))
                .isEqualTo(new ServerSettings(80, 4, Duration.ofMillis(500), Duration.ofMinutes(2)));
    }

    @ParameterizedTest
    @CsvSource({
        "PORT, 65536",
        "PORT, -1",
        "PORT, tcp://10.0.0.1:80",
        "BLOBSTORE_DATABASE_CONNECTIONS, 0",
        "BLOBSTORE_DATABASE_CONNECTIONS, 99999999999",
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
