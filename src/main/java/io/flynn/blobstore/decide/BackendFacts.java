package io.flynn.blobstore.decide;

import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;

/**
 * All that is known of a backend at one moment, as plain values: what {@link BackendDecision} decides about.
 *
 * @param wanted what the resource asks for
 * @param credentials what the Secret holds
 * @param workload what the Deployment is like
 * @param probes the probe Jobs, by attempt
 * @param claims the other resources for the same Deployment
 * @param memory what the last status says
 * @param deletion present once the resource is to go
 * @param now by the operator's clock, as all times here
 */
public record BackendFacts(
        Wanted wanted,
        Credentials credentials,
        Workload workload,
        List<ProbeRun> probes,
        List<Claim> claims,
        Memory memory,
        Optional<Deletion> deletion,
        Instant now) {

    public BackendFacts {
        probes = List.copyOf(probes);
        claims = List.copyOf(claims);
    }

    /**
     * @param resource name of the custom resource
     * @param backendName the name that rows and variables have
     * @param problem what is wrong with the spec itself
     * @param created when the resource was made: the older of two that claim the default has it
     */
    public record Wanted(
            String resource,
            String backendName,
            String workload,
            Optional<Obstacle> problem,
            Location location,
            boolean isDefault,
            Duration probeInterval,
            boolean takeOwnership,
            boolean suspended,
            Instant created) {}

    /** Where the bytes are: what must not change while rows rely on it. */
    public record Location(String bucket, String region, String endpoint) {

        String differenceFrom(Location other) {
            if (!bucket.equals(other.bucket)) {
                return "spec.s3.bucket is \"%s\", the workload has \"%s\"".formatted(bucket, other.bucket);
            }
            if (!region.equals(other.region)) {
                return "spec.s3.region is \"%s\", the workload has \"%s\"".formatted(region, other.region);
            }
            return "spec.s3.endpoint is \"%s\", the workload has \"%s\"".formatted(endpoint, other.endpoint);
        }
    }

    public sealed interface Credentials {

        record Unavailable(Obstacle obstacle) implements Credentials {}

        /** @param hash of the whole configuration with this key in it */
        record Present(String hash) implements Credentials {}
    }

    public sealed interface Workload {

        record Missing() implements Workload {}

        /**
         * @param unclear why it can't be told which container is meant
         * @param generation of the Deployment: another one means that pods may have come and gone
         * @param replicas that are wanted
         * @param observed whether the Deployment's controller has seen the newest template
         * @param available whether as many pods as wanted answer
         * @param stuck the controller's message when its deadline passed, with the newest template
         * @param hash of this backend's configuration in the template; empty if there is none
         * @param complete whether the template has all of it, in the one container
         * @param location where rows of this backend have their bytes, as far as it is known: that of the wanted configuration
         *     if the template has it, else of the one that was last written, else of the template's
         * @param defaultBackend in the template; empty if there is none
         * @param defaultIsOurs whether the operator set it
         * @param rivals who else holds variables of this backend, with other values than ours; of a backend that goes,
         *     with any values
         * @param defaultRival who else holds {@code DEFAULT_BACKEND}, with another value
         * @param pods all that run or end, those of older templates too
         */
        record Live(
                Optional<Obstacle> unclear,
                long generation,
                int replicas,
                boolean observed,
                boolean available,
                boolean paused,
                boolean recreate,
                Optional<String> stuck,
                String hash,
                boolean complete,
                Optional<Location> location,
                String defaultBackend,
                boolean defaultIsOurs,
                List<Rival> rivals,
                Optional<Rival> defaultRival,
                List<Pod> pods)
                implements Workload {

            public Live {
                rivals = List.copyOf(rivals);
                pods = List.copyOf(pods);
            }

            /**
             * Whether the template and every pod that there is have just this configuration, or none if {@code wanted} is
             * empty. It stays so when the Deployment is scaled or gets another image, and while it has no pod at all.
             */
            boolean isInEveryPod(String wanted) {
                return hash.equals(wanted)
                        && (wanted.isEmpty() || complete)
                        && pods.stream().allMatch(pod -> pod.hash().equals(wanted));
            }

            /** The same, and no pod of an older template is on its way: what relies on it may begin. */
            boolean isRolledOut(String wanted) {
                return isInEveryPod(wanted) && isSettled();
            }

            /** Whether the template and every pod that there is send new blobs to {@code backend}. */
            boolean isDefaultOfEveryPod(String backend) {
                return defaultBackend.equals(backend)
                        && pods.stream().allMatch(pod -> pod.defaultBackend().equals(backend));
            }

            /** The same, and no pod of an older template is on its way. */
            boolean isDefaultRolledOut(String backend) {
                return isDefaultOfEveryPod(backend) && isSettled();
            }

            /** Whether no pod sends new blobs to {@code backend}, and none will. */
            boolean isNowhereDefault(String backend) {
                return !defaultBackend.equals(backend)
                        && observed
                        && pods.stream().noneMatch(pod -> pod.defaultBackend().equals(backend));
            }

            private boolean isSettled() {
                return observed && (replicas == 0 || !pods.isEmpty());
            }
        }
    }

    /**
     * @param variable or field that both want
     * @param manager the other's name in {@code managedFields}
     */
    public record Rival(String variable, String manager) {}

    /**
     * One pod of the workload, also while it ends: until it is gone it may answer.
     *
     * @param hash of this backend's configuration; empty if it has none
     * @param defaultBackend empty if it has none
     */
    public record Pod(String hash, String defaultBackend) {}

    /**
     * One probe Job.
     *
     * @param inventoryOnly whether it only counts rows
     * @param hash of the configuration that it tries, or that was wanted when it was made
     * @param workloadGeneration of the Deployment, when it was made
     * @param at when it ended, or started if it runs
     */
    public record ProbeRun(
            int attempt, boolean inventoryOnly, String hash, long workloadGeneration, StageRun run, Instant at) {

        boolean isRunning() {
            return run instanceof StageRun.Running;
        }
    }

    /** Another resource for the same Deployment. */
    public record Claim(String resource, String backendName, boolean wantsDefault, Instant created) {}

    /**
     * What the last status says: only what can't be seen in the cluster.
     *
     * @param applied hash of the configuration that was last written into the Deployment; empty if none was
     * @param lastGood hash of the configuration that was last in every pod; empty if none was
     * @param defaultGiven whether {@code DEFAULT_BACKEND} was written
     * @param verified whether the store was last found in order, with {@code applied}
     * @param inUse whether rows used the backend when they were last counted
     * @param reversals when somebody took the entries away
     * @param flapping whether that was too often, and nothing changed since
     * @param removing whether the entries were taken out for good
     */
    public record Memory(
            String applied,
            String lastGood,
            boolean defaultGiven,
            boolean verified,
            Optional<Boolean> inUse,
            List<Instant> reversals,
            boolean flapping,
            boolean removing) {

        public static final Memory NONE = new Memory("", "", false, false, Optional.empty(), List.of(), false, false);

        public Memory {
            reversals = List.copyOf(reversals);
        }
    }

    /**
     * @param orphan whether the workload is left as it is
     * @param namespaceTerminating whether no Job can be made any more
     * @param force the annotation's value
     * @param migrations that have begun to use the backend and have not ended
     */
    public record Deletion(
            boolean orphan, boolean namespaceTerminating, Optional<String> force, List<String> migrations) {

        public Deletion {
            migrations = List.copyOf(migrations);
        }
    }

    /** Whether rows use the backend, as far as anybody has counted. */
    Optional<Boolean> inUse() {
        return probes.reversed().stream()
                .flatMap(probe -> BackendProbes.rows(probe).stream().boxed())
                .map(rows -> rows > 0)
                .findFirst()
                .or(memory::inUse);
    }

    /** Why the last report doesn't say how many rows use the backend; empty if it does, or if there is none. */
    Optional<Obstacle> uncounted() {
        return probes.reversed().stream()
                .filter(probe -> probe.run() instanceof StageRun.Ended)
                .findFirst()
                .filter(probe -> BackendProbes.rows(probe).isEmpty())
                .flatMap(BackendProbes::uncounted);
    }

    int nextAttempt() {
        return probes.isEmpty() ? 1 : probes.getLast().attempt() + 1;
    }
}
