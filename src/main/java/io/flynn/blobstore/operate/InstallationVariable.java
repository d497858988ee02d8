package io.flynn.blobstore.operate;

import io.fabric8.kubernetes.api.model.Container;
import io.fabric8.kubernetes.api.model.EnvVar;
import io.fabric8.kubernetes.api.model.EnvVarBuilder;
import io.fabric8.kubernetes.api.model.Namespace;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.api.model.batch.v1.JobBuilder;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientException;
import java.util.List;

/**
 * Tells a pod of ours which installation it works for: the namespace, by its uid, and in it the workload. A namespace that is
 * restored from a backup, or made by the same manifests elsewhere, has another uid; a second workload on a copy of the database
 * has another name.
 */
final class InstallationVariable {

    private static final String NAME = "BLOBSTORE_INSTALLATION";

    private InstallationVariable() {}

    /**
     * {@code job} with the variable; the downward API doesn't know the uid.
     *
     * @param workload name of the Deployment
     * @throws KubernetesClientException if the API server can't be asked
     */
    static Job added(KubernetesClient client, Job job, String workload) {
        String name = job.getMetadata().getNamespace();
        Namespace namespace = client.namespaces().withName(name).get();
        if (namespace == null) {
            throw new KubernetesClientException("namespace " + name + " is gone");
        }
        EnvVar variable = new EnvVarBuilder()
                .withName(NAME)
                .withValue(namespace.getMetadata().getUid() + "/" + workload)
                .build();
        Job changed = new JobBuilder(job).build();
        for (Container container : changed.getSpec().getTemplate().getSpec().getContainers()) {
            container.setEnv(WorkloadEnvironment.with(container.getEnv(), List.of(variable)));
        }
        return changed;
    }
}
