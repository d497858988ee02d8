package io.flynn.blobstore.operate;

import io.fabric8.kubernetes.api.model.EnvVar;
import io.fabric8.kubernetes.api.model.apps.Deployment;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.dsl.base.PatchContext;
import io.fabric8.kubernetes.client.dsl.base.PatchType;
import io.flynn.blobstore.decide.BackendEnvironment;
import java.util.List;
import java.util.Optional;

/**
 * Changes a Deployment that is somebody else's: by server-side apply under managers of our own, never forced unless the
 * custom resource says so. A conflict that appeared since the Deployment was looked at fails with 409 or 422, and is seen next time;
 * what takes away fails with 409 whatever appeared, since another backend may just have said what our common manager would unsay.
 */
final class DeploymentWriter {

    private final KubernetesClient client;
    private final BackendFields fields;
    private final boolean takeOwnership;

    DeploymentWriter(KubernetesClient client, BackendFields fields, boolean takeOwnership) {
        this.client = client;
        this.fields = fields;
        this.takeOwnership = takeOwnership;
    }

    void configure(Deployment live, String container, String hash) {
        takeOver(live, container, DeploymentIntent.variables(fields, hash), fields.manager());
        apply(DeploymentIntent.entries(live, container, fields, hash), fields.manager());
    }

    void makeDefault(Deployment live, String container) {
        Deployment intent = DeploymentIntent.defaultBackend(live, container, fields);
        List<EnvVar> entries = intent.getSpec()
                .getTemplate()
                .getSpec()
                .getContainers()
                .getFirst()
                .getEnv();
        takeOver(live, container, entries, BackendFields.DEFAULT_MANAGER);
        apply(intent, BackendFields.DEFAULT_MANAGER);
    }

    void dropDefault(Deployment live, String container) {
        Deployment applied = apply(DeploymentIntent.nothing(live), BackendFields.DEFAULT_MANAGER);
        evict(applied, container, List.of(BackendEnvironment.DEFAULT_VARIABLE), BackendFields.DEFAULT_MANAGER);
    }

    void remove(Deployment live, String container) {
        Deployment applied = apply(DeploymentIntent.nothing(live), fields.manager());
        evict(applied, container, fields.variables(), fields.manager());
    }

    /** One rollout more than an apply would need, but only where somebody's entry is in the way and may be taken. */
    private void takeOver(Deployment live, String container, List<EnvVar> entries, String manager) {
        if (takeOwnership) {
            patch(
                    live,
                    DeploymentPatch.replacing(live, container, entries, client.getKubernetesSerialization()),
                    manager);
        }
    }

    /** What stays after our manager let go, is held by another too, or by us since it was taken over. */
    private void evict(Deployment applied, String container, List<String> variables, String manager) {
        boolean ours = variables.stream()
                .flatMap(variable -> FieldManagers.of(applied, container, variable).stream())
                .allMatch(manager::equals);
        if (takeOwnership || ours) {
            patch(
                    applied,
                    DeploymentPatch.removing(applied, container, variables, client.getKubernetesSerialization()),
                    manager);
        }
    }

    private void patch(Deployment live, Optional<String> patch, String manager) {
        patch.ifPresent(json -> client.apps()
                .deployments()
                .inNamespace(live.getMetadata().getNamespace())
                .withName(live.getMetadata().getName())
                .patch(
                        new PatchContext.Builder()
                                .withPatchType(PatchType.JSON)
                                .withFieldManager(manager)
                                .build(),
                        json));
    }

    private Deployment apply(Deployment intent, String manager) {
        PatchContext context = new PatchContext.Builder()
                .withPatchType(PatchType.SERVER_SIDE_APPLY)
                .withFieldManager(manager)
                .withForce(takeOwnership)
                .build();
        return client.resource(intent).patch(context, intent);
    }
}
