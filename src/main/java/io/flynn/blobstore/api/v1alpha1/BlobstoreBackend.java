package io.flynn.blobstore.api.v1alpha1;

import com.fasterxml.jackson.annotation.JsonClassDescription;
import io.fabric8.crd.generator.annotation.AdditionalPrinterColumn;
import io.fabric8.generator.annotation.Required;
import io.fabric8.generator.annotation.ValidationRule;
import io.fabric8.kubernetes.api.model.Namespaced;
import io.fabric8.kubernetes.api.model.ObjectMetaBuilder;
import io.fabric8.kubernetes.client.CustomResource;
import io.fabric8.kubernetes.model.annotation.Categories;
import io.fabric8.kubernetes.model.annotation.Group;
import io.fabric8.kubernetes.model.annotation.ShortNames;
import io.fabric8.kubernetes.model.annotation.Version;

/** A bucket that a blobstore keeps blobs in: how it is reached, which Deployment gets it, and whether new blobs go there. */
@Group(BlobstoreBackend.GROUP)
@Version(BlobstoreBackend.VERSION)
@ShortNames("bsb")
@Categories("blobstore")
@JsonClassDescription(
        "A bucket that a blobstore keeps blobs in: how it is reached, which Deployment gets it, and whether"
                + " new blobs go there.")
@ValidationRule(
        value = "has(self.spec.backendName) || self.metadata.name.matches('^[a-z0-9]{1,40}$')",
        message = "metadata.name can't be a backend's name: use 1 to 40 of a-z and 0-9 (no dash), as in s3main, or set"
                + " spec.backendName")
@ValidationRule(
        value = "has(self.spec.backendName) || self.metadata.name != 'postgres'",
        message = "metadata.name \"postgres\" is the database itself: choose another name, as in s3main, or set"
                + " spec.backendName")
@ValidationRule(
        value = "(has(self.spec.backendName) ? self.spec.backendName : self.metadata.name) =="
                + " (has(oldSelf.spec.backendName) ? oldSelf.spec.backendName : oldSelf.metadata.name)",
        message = "spec.backendName can't change, since rows in the database hold it: make another BlobstoreBackend and"
                + " move the blobs there")
@AdditionalPrinterColumn(name = "Ready", jsonPath = ".status.conditions[?(@.type==\"Ready\")].status")
@AdditionalPrinterColumn(name = "Status", jsonPath = ".status.summary")
@AdditionalPrinterColumn(
        name = "Default",
        jsonPath = ".status.default.actual",
        type = AdditionalPrinterColumn.Type.BOOLEAN)
@AdditionalPrinterColumn(
        name = "Blobs",
        jsonPath = ".status.inventory.blobs",
        type = AdditionalPrinterColumn.Type.INTEGER)
@AdditionalPrinterColumn(name = "Size", jsonPath = ".status.inventory.display")
@AdditionalPrinterColumn(
        name = "Age",
        jsonPath = ".metadata.creationTimestamp",
        type = AdditionalPrinterColumn.Type.DATE)
@AdditionalPrinterColumn(name = "Bucket", jsonPath = ".spec.s3.bucket", priority = 1)
@AdditionalPrinterColumn(name = "Endpoint", jsonPath = ".spec.s3.endpoint", priority = 1)
@AdditionalPrinterColumn(name = "Workload", jsonPath = ".spec.workload.name", priority = 1)
@AdditionalPrinterColumn(
        name = "Last Probe",
        jsonPath = ".status.probe.lastTime",
        type = AdditionalPrinterColumn.Type.DATE,
        priority = 1)
public final class BlobstoreBackend extends CustomResource<BlobstoreBackendSpec, BlobstoreBackendStatus>
        implements Namespaced {

    private static final long serialVersionUID = 1L;

    public static final String GROUP = "blobstore.flynn.io";
    public static final String VERSION = "v1alpha1";

    /** Holds a deletion until no row uses the backend and the workload is without it. */
    public static final String FINALIZER = GROUP + "/backend";

    /** Lets go of a deletion although rows still use the backend; its value is their number, or {@code unknown}. */
    public static final String FORCE_DELETE_ANNOTATION = GROUP + "/force-delete";

    /**
     * Takes the bucket over from another installation; its value is the one that the bucket's mark names. On a copy of this
     * resource elsewhere it does nothing, once it was heeded here: then the mark names another.
     */
    public static final String ADOPT_BUCKET_ANNOTATION = GROUP + "/adopt-bucket";

    @Required
    @Override
    public BlobstoreBackendSpec getSpec() {
        return super.getSpec();
    }

    /** The name under which rows and environment variables know this backend; not checked. */
    public String backendName() {
        String given = getSpec().backendName();
        return given == null ? getMetadata().getName() : given;
    }

    /** For server-side apply: this resource's name and the status, and nothing else of it. */
    public BlobstoreBackend withOnly(BlobstoreBackendStatus status) {
        BlobstoreBackend fresh = new BlobstoreBackend();
        fresh.setMetadata(new ObjectMetaBuilder()
                .withName(getMetadata().getName())
                .withNamespace(getMetadata().getNamespace())
                .build());
        fresh.setStatus(status);
        return fresh;
    }
}
