package io.flynn.blobstore.testkit.cluster;

import com.fasterxml.jackson.databind.JsonNode;
import java.time.Duration;
import java.time.InstantSource;
import java.util.List;

/** The controllers of a cluster, woken by what changes and by nothing else: {@code kube-controller-manager}. */
final class Controllers implements AutoCloseable {

    private static final ObjectStore.Key EVERYTHING = new ObjectStore.Key("", "", "");

    private final DeploymentController deployments;
    private final JobController jobs;
    private final GarbageCollector garbage;
    private final Runnable stop;

    Controllers(ApiServer api, InstantSource clock, Duration jobBackoff) {
        deployments = new DeploymentController(new ClusterObjects(api, "deployment-controller"), clock);
        jobs = new JobController(new ClusterObjects(api, "job-controller"), clock, jobBackoff);
        garbage = new GarbageCollector(api);
        stop = api.store().listen(api.store().revision(), this::wake);
    }

    private void wake(ObjectStore.Change change) {
        switch (change.key().resource()) {
            case "deployments.apps" -> deployments.queue().add(change.key());
            case "jobs.batch" -> jobs.queue().add(change.key());
            case "pods" -> wakeOwner(change);
            default -> {}
        }
        if (GarbageCollector.concerns(change)) {
            garbage.queue().add(EVERYTHING);
        }
    }

    private void wakeOwner(ObjectStore.Change change) {
        for (JsonNode owner : change.after().path("metadata").path("ownerReferences")) {
            String name = Json.text(owner, "name");
            switch (Json.text(owner, "kind")) {
                case "Deployment" ->
                    deployments
                            .queue()
                            .add(ObjectStore.Key.of(
                                    ResourceTypes.DEPLOYMENTS, change.key().namespace(), name));
                case "Job" ->
                    jobs.queue()
                            .add(ObjectStore.Key.of(
                                    ResourceTypes.JOBS, change.key().namespace(), name));
                default -> {}
            }
        }
    }

    /** @throws IllegalStateException if a controller ever failed */
    @Override
    public void close() {
        stop.run();
        for (WorkQueue queue : List.of(deployments.queue(), jobs.queue(), garbage.queue())) {
            queue.close();
        }
    }
}
