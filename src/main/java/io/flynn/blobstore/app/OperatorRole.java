package io.flynn.blobstore.app;

import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientBuilder;
import io.fabric8.kubernetes.client.utils.KubernetesSerialization;
import io.flynn.blobstore.decide.ExitCode;
import io.flynn.blobstore.operate.BackendReconciler;
import io.flynn.blobstore.operate.Lease;
import io.flynn.blobstore.operate.MigrationReconciler;
import io.flynn.blobstore.operate.OperatorSettings;
import io.javaoperatorsdk.operator.Operator;
import io.javaoperatorsdk.operator.api.config.ConfigurationServiceOverrider;
import io.javaoperatorsdk.operator.monitoring.micrometer.MicrometerMetrics;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.net.InetAddress;
import java.time.Duration;
import java.time.InstantSource;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import picocli.CommandLine.Command;

/** Watches custom resources and does what they say. Runs until it is told to stop. */
@Command(name = "operator", description = "Watches BlobstoreBackends and BlobMigrations and does what they say.")
final class OperatorRole implements Callable<Integer> {

    private static final Logger LOG = LoggerFactory.getLogger(OperatorRole.class);

    /** A reconciliation writes once or twice; what it leaves undone, the next operator does. */
    private static final Duration DRAIN = Duration.ofSeconds(5);

    /** The caches of a namespace fill in a second; without the right to list, never. */
    private static final Duration CACHE_SYNC = Duration.ofSeconds(60);

    @Override
    public Integer call() throws Exception {
        KubernetesClient client = new KubernetesClientBuilder()
                .withKubernetesSerialization(serialization())
                .build();
        OperatorSettings settings;
        try {
            settings = OperatorSettings.of(
                    System.getenv(),
                    client.getNamespace() == null ? "default" : client.getNamespace(),
                    InetAddress.getLocalHost().getHostName());
        } catch (IllegalArgumentException e) {
            LOG.atError().addKeyValue("setting", e.getMessage()).log("operator can't start");
            return ExitCode.USAGE.value();
        }
        run(client, settings);
        return ExitCode.DONE.value();
    }

    /**
     * Leaves out what it doesn't know: custom resource definitions are upgraded before the operator is, and stay when it is rolled back. To fail
     * instead would be to read no resource any more.
     */
    static KubernetesSerialization serialization() {
        return new KubernetesSerialization(
                JsonMapper.builder()
                        .disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
                        .build(),
                true);
    }

    private static void run(KubernetesClient client, OperatorSettings settings) throws Exception {
        PrometheusMeterRegistry metrics = new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
        Lease lease = new Lease(
                client, settings.podNamespace(), settings.watchNamespace(), settings.podName(), OperatorRole::halt);
        Operator operator = new Operator(overrider -> configure(overrider, client, settings, lease, metrics));
        operator.register(
                new BackendReconciler(settings, InstantSource.system()),
                controller -> controller.settingNamespaces(settings.watchNamespace()));
        operator.register(
                new MigrationReconciler(client, settings.image(), InstantSource.system()),
                controller -> controller.settingNamespaces(settings.watchNamespace()));
        // Ready also while it waits for the lease, or a rolling update would wait for the old leader.
        AdminHttp http = AdminHttp.start(
                settings.httpPort(), () -> operator.getRuntimeInfo().allEventSourcesAreHealthy(), metrics::scrape);
        CountDownLatch stopped = new CountDownLatch(1);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> stop(operator, lease, settings, stopped), "stop"));
        start(operator);
        LOG.atInfo()
                .addKeyValue("namespace", settings.watchNamespace())
                .addKeyValue("httpPort", http.port())
                .log("operator started");
        stopped.await();
    }

    private static void start(Operator operator) {
        try {
            operator.start();
        } catch (RuntimeException e) {
            LOG.atError().setCause(e).log("operator can't start");
            halt();
        }
    }

    /** Threads of the client would keep a process alive that does nothing, and exit would wait for the hook. */
    private static void halt() {
        Runtime.getRuntime().halt(ExitCode.FAILED.value());
    }

    private static void configure(
            ConfigurationServiceOverrider overrider,
            KubernetesClient client,
            OperatorSettings settings,
            Lease lease,
            PrometheusMeterRegistry metrics) {
        overrider
                .withKubernetesClient(client)
                // The lease is given back after the operator stopped.
                .withCloseClientOnStop(false)
                .withMetrics(MicrometerMetrics.withoutPerResourceMetrics(metrics))
                .withExecutorService(BoundedVirtualThreads.of(RECONCILIATIONS_MAX))
                .withReconciliationTerminationTimeout(DRAIN)
                .withCacheSyncTimeout(CACHE_SYNC);
        if (settings.leaderElection()) {
            overrider.withLeaderElectionConfiguration(lease.election());
        }
    }

    /** Each holds one or two connections to the API server. */
    private static final int RECONCILIATIONS_MAX = 16;

    private static void stop(Operator operator, Lease lease, OperatorSettings settings, CountDownLatch stopped) {
        lease.giveBack();
        operator.stop();
        if (settings.leaderElection()) {
            lease.release();
        }
        LOG.atInfo().addKeyValue("namespace", settings.watchNamespace()).log("operator stopped");
        stopped.countDown();
    }
}
