package io.flynn.blobstore.operate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.fabric8.kubernetes.client.KubernetesClient;
import io.flynn.blobstore.api.v1alpha1.BlobMigration;
import io.flynn.blobstore.testkit.cluster.LocalCluster;
import io.javaoperatorsdk.operator.Operator;
import io.javaoperatorsdk.operator.api.reconciler.Context;
import io.javaoperatorsdk.operator.api.reconciler.ControllerConfiguration;
import io.javaoperatorsdk.operator.api.reconciler.Reconciler;
import io.javaoperatorsdk.operator.api.reconciler.UpdateControl;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class LeaseTest {

    private LocalCluster cluster;
    private KubernetesClient client;
    private final AtomicInteger lost = new AtomicInteger();

    /** One of several. */
    private record Candidate(Operator operator, Lease lease, KubernetesClient client) {

        void stop() {
            lease.giveBack();
            operator.stop();
            lease.release();
            client.close();
        }
    }

    @BeforeEach
    void start() throws Exception {
        cluster = LocalCluster.start();
        client = cluster.client("tester", "default");
        client.load(Files.newInputStream(Path.of("crds/blobmigrations.yaml"))).serverSideApply();
    }

    @AfterEach
    void stop() {
        client.close();
        cluster.close();
    }

    @Test
    void leaseThatIsGivenBackIsTakenAtOnceAndNobodyCallsItLost() {
        Candidate first = candidate("first");
        await().until(() -> holder().equals("first"));
        Candidate second = candidate("second");

        first.stop();

        // It would run out after fifteen seconds by itself.
        await().atMost(Duration.ofSeconds(10)).until(() -> holder().equals("second"));
        second.stop();
        assertThat(holder()).isEmpty();
        assertThat(lost).hasValue(0);
    }

    @Test
    void leaseThatAnotherHasEndsTheProcess() {
        Candidate first = candidate("first");
        await().until(() -> holder().equals("first"));

        client.leases().withName("blobstore-operator").edit(lease -> {
            lease.getSpec().setHolderIdentity("second");
            return lease;
        });

        await().atMost(Duration.ofSeconds(30)).until(() -> lost.get() == 1);
        first.stop();
        assertThat(holder()).as("what is another's is not given back").isEqualTo("second");
    }

    @Test
    void operatorsOfDifferentNamespacesDoNotWaitForEachOther() {
        Candidate first = candidate("first");
        Candidate second = candidate("second", "apps");

        await().until(() -> holder().equals("first"));
        await().until(() -> holder("blobstore-operator-apps").equals("second"));
        first.stop();
        second.stop();
    }

    private String holder() {
        return holder("blobstore-operator");
    }

    private String holder(String name) {
        var lease = client.leases().withName(name).get();
        return lease == null || lease.getSpec().getHolderIdentity() == null
                ? ""
                : lease.getSpec().getHolderIdentity();
    }

    private Candidate candidate(String name) {
        return candidate(name, "default");
    }

    private Candidate candidate(String name, String watched) {
        KubernetesClient own = cluster.client(name, "default");
        Lease lease = new Lease(own, "default", watched, name, lost::incrementAndGet);
        Operator operator = new Operator(overrider -> overrider
                .withKubernetesClient(own)
                .withCloseClientOnStop(false)
                .withLeaderElectionConfiguration(lease.election()));
        operator.register(new Idle(), configuration -> configuration.settingNamespace(watched));
        operator.start();
        return new Candidate(operator, lease, own);
    }

    @ControllerConfiguration
    private static final class Idle implements Reconciler<BlobMigration> {
        @Override
        public UpdateControl<BlobMigration> reconcile(BlobMigration migration, Context<BlobMigration> context) {
            return UpdateControl.noUpdate();
        }
    }
}
