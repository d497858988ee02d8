package io.flynn.blobstore.manifest;

import com.marcnuri.helm.Helm;
import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.api.model.KubernetesList;
import io.fabric8.kubernetes.client.utils.KubernetesSerialization;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/** The chart, rendered by Helm's own code in this process. */
final class Chart {
    static final Path FOLDER = Path.of("charts/blobstore-operator");
    static final String RELEASE = "blobstore-operator";
    static final String NAMESPACE = "blobstore";

    /** The oldest that the chart accepts. */
    private static final String KUBERNETES = "1.29.0";

    private Chart() {}

    /** The objects that {@code helm install} creates with these values, in the chart's order. */
    static List<HasMetadata> render(Map<String, ?> values) {
        var template = new Helm(FOLDER)
                .template()
                .withName(RELEASE)
                .withNamespace(NAMESPACE)
                .withKubeVersion(KUBERNETES);
        values.forEach(template::set);
        return parse(template.call());
    }

    static <T> List<T> render(Class<T> kind, Map<String, ?> values) {
        return render(values).stream().filter(kind::isInstance).map(kind::cast).toList();
    }

    static List<HasMetadata> parse(String yaml) {
        // A list in front: of a single document the parser makes no list.
        List<?> parsed = new KubernetesSerialization().unmarshal("apiVersion: v1\nkind: List\n---\n" + yaml);
        return parsed.stream()
                .filter(item -> !(item instanceof KubernetesList))
                .map(HasMetadata.class::cast)
                .toList();
    }
}
