package io.flynn.blobstore.api.v1alpha1;

import com.fasterxml.jackson.annotation.JsonClassDescription;
import io.fabric8.crd.generator.annotation.AdditionalPrinterColumn;
import io.fabric8.generator.annotation.Required;
import io.fabric8.kubernetes.api.model.Namespaced;
import io.fabric8.kubernetes.api.model.ObjectMetaBuilder;
import io.fabric8.kubernetes.client.CustomResource;
import io.fabric8.kubernetes.model.annotation.Categories;
import io.fabric8.kubernetes.model.annotation.Group;
import io.fabric8.kubernetes.model.annotation.ShortNames;
import io.fabric8.kubernetes.model.annotation.Version;

/** One move of a blobstore's blobs from where they are to a backend: planned, copied, verified, cleaned up after. */
@Group(BlobstoreBackend.GROUP)
@Version(BlobstoreBackend.VERSION)
@ShortNames("bm")
@Categories("blobstore")
@JsonClassDescription(
        "One move of a blobstore's blobs from where they are to a backend: planned, copied, verified, cleaned"
                + " up after.")
@AdditionalPrinterColumn(name = "Phase", jsonPath = ".status.phase")
@AdditionalPrinterColumn(name = "Progress", jsonPath = ".status.progress.display")
@AdditionalPrinterColumn(name = "Rate", jsonPath = ".status.progress.rate")
@AdditionalPrinterColumn(name = "ETA", jsonPath = ".status.progress.eta")
@AdditionalPrinterColumn(
        name = "Failed",
        jsonPath = ".status.failures.count",
        type = AdditionalPrinterColumn.Type.INTEGER)
@AdditionalPrinterColumn(
        name = "Age",
        jsonPath = ".metadata.creationTimestamp",
        type = AdditionalPrinterColumn.Type.DATE)
@AdditionalPrinterColumn(name = "From", jsonPath = ".spec.from", priority = 1)
@AdditionalPrinterColumn(name = "To", jsonPath = ".spec.to", priority = 1)
@AdditionalPrinterColumn(
        name = "Verified",
        jsonPath = ".status.progress.verified.blobs",
        type = AdditionalPrinterColumn.Type.INTEGER,
        priority = 1)
@AdditionalPrinterColumn(name = "Reclaimed", jsonPath = ".status.reclaim.reclaimed", priority = 1)
@AdditionalPrinterColumn(name = "Rollback Until", jsonPath = ".status.rollbackAvailableUntil", priority = 1)
@AdditionalPrinterColumn(name = "Message", jsonPath = ".status.message", priority = 1)
public final class BlobMigration extends CustomResource<BlobMigrationSpec, BlobMigrationStatus> implements Namespaced {

    private static final long serialVersionUID = 1L;

    @Required
    @Override
    public BlobMigrationSpec getSpec() {
        return super.getSpec();
    }

    /** For server-side apply: this resource's name and the status, and nothing else of it. */
    public BlobMigration withOnly(BlobMigrationStatus status) {
        BlobMigration fresh = new BlobMigration();
        fresh.setMetadata(new ObjectMetaBuilder()
                .withName(getMetadata().getName())
                .withNamespace(getMetadata().getNamespace())
                .build());
        fresh.setStatus(status);
        return fresh;
    }
}
