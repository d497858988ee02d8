package io.flynn.blobstore.serve;

import static io.flynn.blobstore.serve.RunningServer.text;
import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.testkit.EmbeddedPg;
import io.flynn.blobstore.testkit.InstanceMetadata;
import io.flynn.blobstore.testkit.LocalS3;
import java.net.http.HttpResponse;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** {@code ec2_role=true}: no key is configured, the machine's own has to be asked for. */
class InstanceRoleIT {

    /** In one test, since a process has one role and keeps its key. */
    @Test
    void roleOfTheInstanceOpensTheBucketOnceItIsThere() {
        try (EmbeddedPg.Database database = EmbeddedPg.database();
                LocalS3 store = LocalS3.startForSessions();
                InstanceMetadata metadata = new InstanceMetadata(LocalS3.ACCESS_KEY_ID, LocalS3.SECRET_ACCESS_KEY)) {
            store.createBucket("blobs");
            Map<String, String> environment = new HashMap<>(database.environment(EmbeddedPg.SUPERUSER));
            environment.put(
                    "BACKEND_S3MAIN",
                    "backend=s3 region=%s bucket=blobs endpoint=%s path_style=true ec2_role=true"
                            .formatted(LocalS3.REGION, store.endpoint()));
            environment.put("DEFAULT_BACKEND", "s3main");
            metadata.away(true);
            try (RunningServer server = RunningServer.ready(environment)) {
                database.execute("""
                        INSERT INTO files (external_id, backend, name, type, size)
                        VALUES (uuid_generate_v4(), 's3main', '/there', '', 3)""");
                database.execute("""
                        INSERT INTO files (file_oid, backend, name, type, size)
                        VALUES (lo_from_bytea(0, 'here'), 'postgres', '/here', '', 4)""");
                for (HttpResponse<byte[]> refused : List.of(server.put("/a", "hello"), server.get("/there"))) {
                    assertThat(refused.statusCode()).isEqualTo(503);
                    assertThat(refused.headers().firstValue("Retry-After")).isPresent();
                    assertThat(text(refused)).contains("\"s3main\"").contains("CredentialsRefused");
                }
                assertThat(text(server.get("/here"))).isEqualTo("here");

                metadata.away(false);
                assertThat(server.put("/a", "hello").statusCode()).isEqualTo(200);
                assertThat(server.get("/a").headers().firstValue("Location").orElseThrow())
                        .contains("X-Amz-Security-Token=session%2Ftoken%3D%3D");
                assertThat(text(server.follow("/a"))).isEqualTo("hello");
                assertThat(store.sizes("blobs")).hasSize(1);
            }
        }
    }
}
