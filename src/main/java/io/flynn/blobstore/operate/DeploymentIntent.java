package io.flynn.blobstore.operate;

import io.fabric8.kubernetes.api.model.Container;
import io.fabric8.kubernetes.api.model.ContainerBuilder;
import io.fabric8.kubernetes.api.model.EnvVar;
import io.fabric8.kubernetes.api.model.EnvVarBuilder;
import io.fabric8.kubernetes.api.model.apps.Deployment;
import io.fabric8.kubernetes.api.model.apps.DeploymentBuilder;
import io.flynn.blobstore.decide.BackendEnvironment;
import java.util.List;

/**
 * What a field manager of ours says about a Deployment, for server-side apply: as little as possible. Applying less than
 * before takes away what is not said any more. Pure.
 */
final class DeploymentIntent {

    private DeploymentIntent() {}

    /** A backend's variables, each from its Secret, and the annotation that tells pods with them from pods without. */
    static Deployment entries(Deployment live, String container, BackendFields fields, String hash) {
        return new DeploymentBuilder(named(live))
                .withNewSpec()
                .withNewTemplate()
                .withNewMetadata()
                .addToAnnotations(fields.annotation(), hash)
                .endMetadata()
                .withNewSpec()
                .withContainers(container(container, variables(fields, hash)))
                .endSpec()
                .endTemplate()
                .endSpec()
                .build();
    }

    static Deployment defaultBackend(Deployment live, String container, BackendFields fields) {
        EnvVar entry = new EnvVarBuilder()
                .withName(BackendEnvironment.DEFAULT_VARIABLE)
                .withValue(fields.backend().value())
                .build();
        return new DeploymentBuilder(named(live))
                .withNewSpec()
                .withNewTemplate()
                .withNewSpec()
                .withContainers(container(container, List.of(entry)))
                .endSpec()
                .endTemplate()
                .endSpec()
                .build();
    }

    /** Takes everything away that the manager had said, if the Deployment still is what was looked at. */
    static Deployment nothing(Deployment live) {
        return new DeploymentBuilder(named(live))
                .editMetadata()
                .withResourceVersion(live.getMetadata().getResourceVersion())
                .endMetadata()
                .build();
    }

    private static Deployment named(Deployment live) {
        return new DeploymentBuilder()
                .withNewMetadata()
                .withName(live.getMetadata().getName())
                .withNamespace(live.getMetadata().getNamespace())
                .endMetadata()
                .build();
    }

    /** Never {@code envFrom}: its list is one field, so that it would be all ours or all somebody else's. */
    static List<EnvVar> variables(BackendFields fields, String hash) {
        return fields.variables().stream()
                .map(variable -> fromSecret(variable, fields.secretName(hash), variable))
                .toList();
    }

    static EnvVar fromSecret(String variable, String secret, String key) {
        return new EnvVarBuilder()
                .withName(variable)
                .withNewValueFrom()
                .withNewSecretKeyRef()
                .withName(secret)
                .withKey(key)
                .endSecretKeyRef()
                .endValueFrom()
                .build();
    }

    private static Container container(String name, List<EnvVar> entries) {
        return new ContainerBuilder().withName(name).withEnv(entries).build();
    }
}
