package io.flynn.blobstore.operate;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.decide.BackendEnvironment;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * The names under which one backend appears in a namespace: its variables, its Secrets, and what says in a Deployment that a
 * field is its own. A manager and an annotation for each backend, or one backend's apply would prune the other's entries.
 *
 * @param resource name of the custom resource
 * @param backend the name that rows have
 */
record BackendFields(String resource, BackendName backend) {

    /** Of {@code DEFAULT_BACKEND}, whichever backend it names: a change of default is one write of one manager. */
    static final String DEFAULT_MANAGER = "blobstore-operator-default";

    private static final Pattern HASH = Pattern.compile("[0-9a-f]{10}");

    String manager() {
        // No resource's name ends with a dot: one that is called "default" must not share a manager with the default.
        String suffix = resource.equals("default") ? "default." : Labels.value(resource);
        return "blobstore-operator-" + suffix;
    }

    String annotation() {
        return "config.blobstore.flynn.io/" + Labels.value(resource);
    }

    /** In the order in which they stand in a container. */
    List<String> variables() {
        return List.of(
                backend.variable(),
                BackendEnvironment.accessKeyIdVariable(backend),
                BackendEnvironment.secretAccessKeyVariable(backend));
    }

    String secretName(String hash) {
        return prefix() + hash;
    }

    /** The hash of the configuration that a Secret of this name holds; empty if it is none of ours. */
    Optional<String> hash(String secretName) {
        return Optional.of(secretName)
                .filter(name -> name.startsWith(prefix()))
                .map(name -> name.substring(prefix().length()))
                .filter(hash -> HASH.matcher(hash).matches());
    }

    private String prefix() {
        return Labels.value(resource) + "-config-";
    }
}
