package io.flynn.blobstore.operate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class OperatorSettingsTest {

    private static final String IMAGE = "registry.example/blobstore-operator:0.1.0";

    @Test
    void imageAloneIsEnough() {
        assertThat(settings(Map.of()))
                .isEqualTo(new OperatorSettings(
                        "paas", new PodImage(IMAGE, "IfNotPresent", List.of()), false, true, "paas", "host", 8081));
    }

    @Test
    void everySettingCounts() {
        assertThat(settings(Map.of(
                        "BLOBSTORE_WATCH_NAMESPACE", "apps",
                        "BLOBSTORE_IMAGE_PULL_POLICY", "Never",
                        "BLOBSTORE_IMAGE_PULL_SECRETS", "one, two,",
                        "BLOBSTORE_ALLOW_INSECURE_ENDPOINTS", "true",
                        "BLOBSTORE_LEADER_ELECTION", "false",
                        "POD_NAMESPACE", "operators",
                        "POD_NAME", "operator-1",
                        "BLOBSTORE_HTTP_PORT", "0")))
                .isEqualTo(new OperatorSettings(
                        "apps",
                        new PodImage(IMAGE, "Never", List.of("one", "two")),
                        true,
                        false,
                        "operators",
                        "operator-1",
                        0));
    }

    @Test
    void missingImageIsNamed() {
        assertThatThrownBy(() -> OperatorSettings.of(Map.of(), "paas", "host"))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("BLOBSTORE_IMAGE is missing");
    }

    @ParameterizedTest
    @CsvSource({
        "BLOBSTORE_IMAGE_PULL_POLICY, Sometimes",
        "BLOBSTORE_ALLOW_INSECURE_ENDPOINTS, yes",
        "BLOBSTORE_LEADER_ELECTION, TRUE",
        "BLOBSTORE_HTTP_PORT, 65536",
        "BLOBSTORE_HTTP_PORT, -1",
        "BLOBSTORE_HTTP_PORT, http",
    })
    void wrongSettingIsNamedWithItsValueAndTheFix(String name, String value) {
        assertThatThrownBy(() -> settings(Map.of(name, value)))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("%s is \"%s\": use ".formatted(name, value));
    }

    private static OperatorSettings settings(Map<String, String> more) {
        Map<String, String> environment = new HashMap<>(more);
        environment.put("BLOBSTORE_IMAGE", IMAGE);
        return OperatorSettings.of(environment, "paas", "host");
    }
}
