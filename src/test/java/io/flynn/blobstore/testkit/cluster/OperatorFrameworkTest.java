package io.flynn.blobstore.testkit.cluster;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.fabric8.kubernetes.api.model.Namespaced;
import io.fabric8.kubernetes.api.model.ObjectMeta;
import io.fabric8.kubernetes.client.CustomResource;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.model.annotation.Group;
import io.fabric8.kubernetes.model.annotation.Version;
import io.javaoperatorsdk.operator.Operator;
import io.javaoperatorsdk.operator.api.config.LeaderElectionConfigurationBuilder;
import io.javaoperatorsdk.operator.api.reconciler.Cleaner;
import io.javaoperatorsdk.operator.api.reconciler.Context;
import io.javaoperatorsdk.operator.api.reconciler.ControllerConfiguration;
import io.javaoperatorsdk.operator.api.reconciler.DeleteControl;
import io.javaoperatorsdk.operator.api.reconciler.Reconciler;
import io.javaoperatorsdk.operator.api.reconciler.UpdateControl;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.Test;

/** The operator framework with its defaults, and leader election, run on LocalCluster: informers, finalizers, status by server-side apply. */
public class OperatorFrameworkTest {

    private static final String DEFINITION = """
            apiVersion: apiextensions.k8s.io/v1
            kind: CustomResourceDefinition
            metadata: {name: gadgets.framework.flynn.io}
            spec:
              group: framework.flynn.io
              scope: Namespaced
              names: {plural: gadgets, singular: gadget, kind: Gadget}
              versions:
              - name: v1
                served: true
                storage: true
                subresources: {status: {}}
                schema:
                  openAPIV3Schema:
                    type: object
                    properties:
                      spec: {type: object, properties: {size: {type: integer}}}
                      status: {type: object, properties: {seen: {type: integer}}}
            """;

    /** What the framework reconciles here. */
    @Group("framework.flynn.io")
    @Version("v1")
    public static final class Gadget extends CustomResource<Gadget.Spec, Gadget.Status> implements Namespaced {

        private static final long serialVersionUID = 1;

        public record Spec(int size) {}

        public record Status(int seen) {}
    }

    @ControllerConfiguration
    private static final class GadgetReconciler implements Reconciler<Gadget>, Cleaner<Gadget> {

        private final AtomicInteger reconciled = new AtomicInteger();
        private final AtomicInteger cleaned = new AtomicInteger();

        @Override
        public UpdateControl<Gadget> reconcile(Gadget gadget, Context<Gadget> context) {
            reconciled.incrementAndGet();
            Gadget fresh = gadget(gadget.getMetadata().getName(), 0);
            fresh.setSpec(null);
            fresh.setStatus(new Gadget.Status(gadget.getSpec().size()));
            return UpdateControl.patchStatus(fresh);
        }

        @Override
        public DeleteControl cleanup(Gadget gadget, Context<Gadget> context) {
            cleaned.incrementAndGet();
            return DeleteControl.defaultDelete();
        }
    }

    @Test
    void reconcilesWithItsDefaultsAsTheElectedLeader() throws Exception {
        try (LocalCluster cluster = LocalCluster.start();
                KubernetesClient user = cluster.client("user", "default")) {
            user.load(new java.io.ByteArrayInputStream(DEFINITION.getBytes(java.nio.charset.StandardCharsets.UTF_8)))
                    .create();
            GadgetReconciler reconciler = new GadgetReconciler();
            Operator operator = new Operator(overrider -> overrider
                    .withKubernetesClient(cluster.client("operator", "default"))
                    .withLeaderElectionConfiguration(
                            LeaderElectionConfigurationBuilder.aLeaderElectionConfiguration("gadgets")
                                    .withLeaseNamespace("default")
                                    .withExitOnStopLeading(false)
                                    .build()));
            operator.register(reconciler, config -> config.settingNamespace("default"));
            operator.start();

            user.resource(gadget("one", 1)).create();
            until(() -> seen(user) == 1);
            Gadget created = user.resource(gadget("one", 1)).get();
            assertThat(created.getMetadata().getFinalizers()).hasSize(1);

            user.resource(gadget("one", 1)).edit(gadget -> {
                gadget.setSpec(new Gadget.Spec(2));
                return gadget;
            });
            until(() -> seen(user) == 2);
            int soFar = reconciler.reconciled.get();
            assertThat(soFar).as("does not react to its own writes for ever").isLessThan(6);

            user.resource(gadget("one", 1)).delete();
            until(() -> user.resource(gadget("one", 1)).get() == null);
            assertThat(reconciler.cleaned).hasValue(1);
            assertThat(user.leases().inNamespace("default").withName("gadgets").get())
                    .isNotNull();
            assertThat(cluster.calls().matching(call -> call.user().equals("operator")))
                    .extracting(call -> call.verb() + " " + call.resource())
                    .contains(
                            "create selfsubjectrulesreviews", "patch gadgets", "patch gadgets/status", "watch gadgets");
            operator.stop();
        }
    }

    private static int seen(KubernetesClient client) {
        Gadget gadget = client.resource(gadget("one", 1)).get();
        return gadget.getStatus() == null ? 0 : gadget.getStatus().seen();
    }

    private static Gadget gadget(String name, int size) {
        Gadget gadget = new Gadget();
        ObjectMeta metadata = new ObjectMeta();
        metadata.setName(name);
        metadata.setNamespace("default");
        gadget.setMetadata(metadata);
        gadget.setSpec(new Gadget.Spec(size));
        return gadget;
    }

    private static void until(BooleanSupplier condition) {
        await().atMost(Duration.ofSeconds(30))
                .pollInterval(Duration.ofMillis(25))
                .until(condition::getAsBoolean);
    }
}
