package io.flynn.blobstore.app;

import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.api.v1alpha1.BlobMigration;
import io.flynn.blobstore.api.v1alpha1.BlobstoreBackend;
import org.junit.jupiter.api.Test;

class OperatorRoleTest {

    /** The API server puts defaults of a newer definition into every resource. */
    @Test
    void resourcesWithFieldsOfALaterReleaseAreRead() {
        BlobMigration migration = OperatorRole.serialization().unmarshal("""
                        {"apiVersion": "blobstore.flynn.io/v1alpha1", "kind": "BlobMigration", "metadata": {"name": "m"}, "spec": {"workload": {"name": "w", "later": 1},
                        "from": "postgres", "to": "s3main", "later": {"later": true}}, "status": {"observedGeneration": 3, "later": []}}
                        """, BlobMigration.class);
        BlobstoreBackend backend = OperatorRole.serialization().unmarshal("""
                        {"apiVersion": "blobstore.flynn.io/v1alpha1", "kind": "BlobstoreBackend", "metadata": {"name": "b"}, "spec": {"bucket": "blobs", "later": 1},
                        "status": {"later": 1}}
                        """, BlobstoreBackend.class);

        assertThat(migration.getSpec().to()).isEqualTo("s3main");
        assertThat(migration.getStatus().observedGeneration()).isEqualTo(3);
        assertThat(backend.getMetadata().getName()).isEqualTo("b");
    }
}
