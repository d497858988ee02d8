package io.flynn.blobstore.api.v1alpha1;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import io.fabric8.generator.annotation.Default;
import io.fabric8.generator.annotation.Pattern;
import io.fabric8.generator.annotation.Size;
import io.fabric8.kubernetes.api.model.Affinity;
import io.fabric8.kubernetes.api.model.ResourceRequirements;
import io.fabric8.kubernetes.api.model.Toleration;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What may be said about the pods of our Jobs: where they run and what they may use. A closed list: image, command, service
 * account, environment and volumes come from the operator and the workload, or who may write this resource could run anything as
 * the workload.
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record PodTemplate(
        @JsonPropertyDescription("Labels and annotations of the pods.") @Default("{}")
        Metadata metadata,

        @JsonPropertyDescription("Where the pods run, and what they may use.") @Default("{}")
        Spec spec) {

    public static final PodTemplate EMPTY = new PodTemplate(Metadata.EMPTY, Spec.EMPTY);

    public PodTemplate {
        metadata = metadata == null ? Metadata.EMPTY : metadata;
        spec = spec == null ? Spec.EMPTY : spec;
    }

    @JsonInclude(JsonInclude.Include.NON_EMPTY)
    public record Metadata(
            @JsonPropertyDescription("Labels. They must not match the workload's selector, or its Service would send"
                    + " requests to the Job.")
            @Default("{}")
            Map<String, String> labels,

            @JsonPropertyDescription("Annotations.") @Default("{}")
            Map<String, String> annotations) {

        static final Metadata EMPTY = new Metadata(Map.of(), Map.of());

        public Metadata {
            labels = labels == null ? Map.of() : Map.copyOf(labels);
            annotations = annotations == null ? Map.of() : Map.copyOf(annotations);
        }
    }

    @JsonInclude(JsonInclude.Include.NON_EMPTY)
    public record Spec(
            @JsonPropertyDescription(
                    "What the container asks for, and what it may use at most. If unset, the operator's"
                            + " own figures.")
            @Nullable
            ResourceRequirements resources,

            @JsonPropertyDescription("Labels that a node must have. If unset, the workload's.") @Nullable
            Map<String, String> nodeSelector,

            @JsonPropertyDescription("Taints that the pods tolerate. If unset, the workload's.")
            @Size(max = 50)
            @Nullable
            List<Toleration> tolerations,

            @JsonPropertyDescription("Nodes and pods that the pods want to be near to, or far from. If unset, the"
                    + " workload's node affinity.")
            @Nullable
            Affinity affinity,

            @JsonPropertyDescription("Name of a PriorityClass. If unset, the workload's.")
            @Size(min = 1, max = 253)
            @Pattern(Patterns.RESOURCE_NAME)
            @Nullable
            String priorityClassName) {

        static final Spec EMPTY = new Spec(null, null, null, null, null);
    }
}
