package io.flynn.blobstore.testkit.cluster;

import static org.assertj.core.api.Assertions.assertThat;

import io.fabric8.kubernetes.client.KubernetesClient;
import java.time.LocalTime;
import java.util.TimeZone;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfEnvironmentVariable;

@EnabledIfEnvironmentVariable(
        named = RealApiServer.DIRECTORY,
        matches = ".+",
        disabledReason = "KUBE_API_TEST_DIR names no API server's binaries")
class RealApiServerIT {

    @Test
    void startsAMinuteBeforeMidnight() {
        TimeZone here = TimeZone.getDefault();
        TimeZone late = RealApiServer.zoneWhereItIs(LocalTime.of(23, 59));
        TimeZone.setDefault(late);
        try {
            RealApiServer server = new RealApiServer();
            try (KubernetesClient client = server.client()) {
                assertThat(client.namespaces().withName("default").get()).isNotNull();
                assertThat(TimeZone.getDefault()).isEqualTo(late);
            } finally {
                server.stop();
            }
        } finally {
            TimeZone.setDefault(here);
        }
    }
}
