package io.flynn.blobstore.testkit.story;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import io.fabric8.kubernetes.api.model.apiextensions.v1.CustomResourceDefinition;
import io.fabric8.kubernetes.client.utils.Serialization;
import java.time.Instant;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ColumnsTest {

    private static final Instant NOW = Instant.parse("2026-01-02T00:00:00Z");

    private static final CustomResourceDefinition DEFINITION =
            Serialization.unmarshal("""
            apiVersion: apiextensions.k8s.io/v1
            kind: CustomResourceDefinition
            spec:
              versions:
              - additionalPrinterColumns:
                - {name: Ready, type: string, jsonPath: '.status.conditions[?(@.type=="Ready")].status'}
                - {name: Blobs, type: integer, jsonPath: .status.inventory.blobs}
                - {name: Bucket, type: string, priority: 1, jsonPath: .spec.s3.bucket}
                - {name: Age, type: date, jsonPath: .metadata.creationTimestamp}
            """, CustomResourceDefinition.class);

    private final Columns columns = new Columns(DEFINITION);

    @Test
    void showsWhatAUserSees() {
        JsonNode resource = resource("""
                metadata: {name: s3main, creationTimestamp: "2026-01-01T23:58:30Z"}
                spec: {s3: {bucket: flynnblobstore}}
                status:
                  inventory: {blobs: 163}
                  conditions: [{type: Stalled, status: "False"}, {type: Ready, status: "True"}]
                """);
        List<String> cells = columns.cells(resource, NOW);
        columns.widen(cells);

        assertThat(columns.line(columns.header())).isEqualTo("NAME     READY   BLOBS   AGE");
        assertThat(columns.line(cells)).isEqualTo("s3main   True    163     90s");
    }

    @Test
    void whatIsMissingIsBlank() {
        JsonNode resource = resource("metadata: {name: s3main, creationTimestamp: '2026-01-02T00:00:00Z'}");

        assertThat(columns.cells(resource, NOW)).containsExactly("s3main", "", "", "0s");
    }

    @Test
    void aPathThatItDoesNotKnowIsNoBlank() {
        assertThatThrownBy(() -> Columns.evaluate(resource("metadata: {}"), ".status.items[*].name"))
                .isInstanceOf(IllegalArgumentException.class);
    }

    @ParameterizedTest
    @CsvSource({
        "2026-01-01T23:58:01Z, 119s",
        "2026-01-01T23:56:55Z, 3m5s",
        "2026-01-01T23:45:00Z, 15m",
        "2026-01-01T19:00:00Z, 5h",
        "2025-12-22T00:00:00Z, 11d"
    })
    void agesAreAsKubectlTellsThem(String created, String age) {
        assertThat(Columns.age(created, NOW)).isEqualTo(age);
    }

    private static JsonNode resource(String yaml) {
        return Serialization.unmarshal(yaml, JsonNode.class);
    }
}
