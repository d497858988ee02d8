package io.flynn.blobstore.operate;

import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientException;
import io.fabric8.kubernetes.client.extended.leaderelection.LeaderCallbacks;
import io.javaoperatorsdk.operator.api.config.LeaderElectionConfiguration;
import io.javaoperatorsdk.operator.api.config.LeaderElectionConfigurationBuilder;
import java.time.Duration;
import java.util.Objects;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** By which one of several operators acts. It spares work, it doesn't make correct: two may believe for seconds that they have it. */
public final class Lease {

    private static final Logger LOG = LoggerFactory.getLogger(Lease.class);

    private static final String NAME = "blobstore-operator";

    /** As the controllers of Kubernetes itself have them. */
    private static final Duration DURATION = Duration.ofSeconds(15);

    private static final Duration RENEW = Duration.ofSeconds(10);
    private static final Duration RETRY = Duration.ofSeconds(2);

    private final KubernetesClient client;
    private final String namespace;
    private final String name;
    private final String identity;
    private final Runnable onLoss;
    private volatile boolean givingBack;

    /**
     * @param namespace where the lease is: the operator's own
     * @param watched the namespace that the operator looks after: those that look after different ones don't wait for each other
     * @param onLoss ends the process: another operator acts from now on, and this one's caches and timers don't know it
     */
    public Lease(KubernetesClient client, String namespace, String watched, String identity, Runnable onLoss) {
        this.client = client;
        this.namespace = namespace;
        name = watched.equals(namespace) ? NAME : NAME + "-" + watched;
        this.identity = identity;
        this.onLoss = onLoss;
    }

    public LeaderElectionConfiguration election() {
        return LeaderElectionConfigurationBuilder.aLeaderElectionConfiguration(name)
                .withLeaseNamespace(namespace)
                .withIdentity(identity)
                .withLeaseDuration(DURATION)
                .withRenewDeadline(RENEW)
                .withRetryPeriod(RETRY)
                // System.exit would wait for the shutdown hook, which waits for the end of leading.
                .withExitOnStopLeading(false)
                .withLeaderCallbacks(new LeaderCallbacks(
                        () -> LOG.atInfo().addKeyValue("lease", name).log("leading"),
                        this::lost,
                        leader -> LOG.atInfo().addKeyValue("leader", leader).log("leader is known")))
                .build();
    }

    private void lost() {
        if (!givingBack) {
            LOG.atError().addKeyValue("lease", name).log("lease lost");
            onLoss.run();
        }
    }

    /** From now on the end of leading is wanted. */
    public void giveBack() {
        givingBack = true;
    }

    /** After the operator stopped. The SDK's stop keeps the lease, so that the next operator would wait until it runs out. */
    public void release() {
        try {
            var leases = client.leases().inNamespace(namespace).withName(name);
            var lease = leases.get();
            if (lease != null && Objects.equals(lease.getSpec().getHolderIdentity(), identity)) {
                leases.edit(held -> {
                    held.getSpec().setHolderIdentity("");
                    held.getSpec().setLeaseDurationSeconds(1);
                    return held;
                });
            }
        } catch (KubernetesClientException e) {
            // It runs out by itself.
            LOG.atWarn().addKeyValue("code", e.getCode()).log("lease not given back");
        }
    }
}
