package io.flynn.blobstore.operate;

import io.fabric8.kubernetes.api.model.apps.Deployment;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.flynn.blobstore.decide.BackendEnvironment.Encoded;
import io.flynn.blobstore.decide.BackendFacts;
import java.util.List;
import java.util.Optional;

/**
 * What was read at one moment: the facts to decide about, and the objects that carrying the decision out needs.
 *
 * @param encoded the wanted configuration, secrets included; empty if the Secret is missing or wrong
 * @param container the blobstore's in the Deployment; empty if there is no Deployment
 */
record BackendObservation(
        BackendFacts facts,
        BackendFields fields,
        Optional<Deployment> deployment,
        String container,
        Optional<Encoded> encoded,
        List<Job> jobs) {

    BackendObservation {
        jobs = List.copyOf(jobs);
    }
}
