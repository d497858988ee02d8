package io.flynn.blobstore.testkit.cluster;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.fabric8.kubernetes.api.model.ConfigMap;
import io.fabric8.kubernetes.api.model.ConfigMapBuilder;
import io.fabric8.kubernetes.api.model.EnvVar;
import io.fabric8.kubernetes.api.model.EnvVarBuilder;
import io.fabric8.kubernetes.api.model.GenericKubernetesResource;
import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.api.model.ManagedFieldsEntry;
import io.fabric8.kubernetes.api.model.NamespaceBuilder;
import io.fabric8.kubernetes.api.model.Secret;
import io.fabric8.kubernetes.api.model.SecretBuilder;
import io.fabric8.kubernetes.api.model.apps.Deployment;
import io.fabric8.kubernetes.api.model.apps.DeploymentBuilder;
import io.fabric8.kubernetes.api.model.batch.v1.Job;
import io.fabric8.kubernetes.api.model.batch.v1.JobBuilder;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientException;
import io.fabric8.kubernetes.client.dsl.base.PatchContext;
import io.fabric8.kubernetes.client.dsl.base.PatchType;
import io.fabric8.kubernetes.client.utils.KubernetesSerialization;
import java.util.List;
import java.util.Map;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * What the operator relies on of an API server, without controllers or nodes. The same tests run on {@link LocalCluster} and on the real
 * thing: a difference is a bug in LocalCluster.
 */
abstract class ClusterContract {

    private static final String WIDGETS = """
            apiVersion: apiextensions.k8s.io/v1
            kind: CustomResourceDefinition
            metadata: {name: widgets.contract.flynn.io}
            spec:
              group: contract.flynn.io
              scope: Namespaced
              names: {plural: widgets, singular: widget, kind: Widget, listKind: WidgetList}
              versions:
              - name: v1
                served: true
                storage: true
                subresources: {status: {}}
                schema:
                  openAPIV3Schema:
                    type: object
                    required: [spec]
                    properties:
                      spec:
                        type: object
                        required: [size]
                        x-kubernetes-validations:
                        - {rule: "self.from != self.to", message: "from and to must differ"}
                        properties:
                          size: {type: integer, minimum: 1, maximum: 64}
                          mode: {type: string, enum: [Run, Plan], default: Run}
                          name: {type: string, pattern: "^[a-z0-9]+$", maxLength: 5}
                          fixed:
                            type: string
                            x-kubernetes-validations:
                            - {rule: "self == oldSelf", message: "fixed is immutable"}
                          from: {type: string, default: here}
                          to: {type: string, default: there}
                          policy:
                            type: object
                            default: {}
                            properties:
                              retries: {type: integer, default: 5}
                          tags: {type: array, items: {type: string}}
                      status:
                        type: object
                        default: {observedGeneration: -1}
                        properties:
                          observedGeneration: {type: integer}
                          note: {type: string}
                          conditions:
                            type: array
                            x-kubernetes-list-type: map
                            x-kubernetes-list-map-keys: [type]
                            items:
                              type: object
                              required: [type]
                              properties:
                                type: {type: string}
                                status: {type: string}
            """;

    private static int namespaces;

    private String namespace;
    private KubernetesClient client;

    /** One for all tests; has whatever rights they need. */
    abstract KubernetesClient connect();

    @BeforeEach
    void newNamespace() {
        client = connect();
        namespace = "contract-" + namespaces++;
        client.resource(new NamespaceBuilder()
                        .withNewMetadata()
                        .withName(namespace)
                        .endMetadata()
                        .build())
                .create();
        if (client.apiextensions()
                        .v1()
                        .customResourceDefinitions()
                        .withName("widgets.contract.flynn.io")
                        .get()
                == null) {
            client.load(new java.io.ByteArrayInputStream(WIDGETS.getBytes(java.nio.charset.StandardCharsets.UTF_8)))
                    .create();
            client.apiextensions()
                    .v1()
                    .customResourceDefinitions()
                    .withName("widgets.contract.flynn.io")
                    .waitUntilCondition(
                            crd -> crd != null
                                    && crd.getStatus() != null
                                    && crd.getStatus().getConditions() != null
                                    && crd.getStatus().getConditions().stream()
                                            .anyMatch(condition -> condition
                                                            .getType()
                                                            .equals("Established")
                                                    && condition.getStatus().equals("True")),
                            20,
                            java.util.concurrent.TimeUnit.SECONDS);
        }
    }

    // Server-side apply

    @Test
    void applyCreatesWhatIsAbsent() {
        apply("alice", deployment(env("A", "1")));

        assertThat(environment()).containsExactly("A=1");
    }

    @Test
    void applyingTheSameAgainChangesNothing() {
        apply("alice", deployment(env("A", "1")));
        String version = live().getMetadata().getResourceVersion();

        apply("alice", deployment(env("A", "1")));

        assertThat(live().getMetadata().getResourceVersion()).isEqualTo(version);
    }

    @Test
    void managersAddToOneListSideBySide() {
        client.resource(deployment(env("OWN", "1"))).create();
        apply("alice", envOnly(env("A", "1")));
        apply("bob", envOnly(env("B", "1")));

        assertThat(environment()).containsExactly("OWN=1", "A=1", "B=1");
    }

    @Test
    void whatAManagerNoLongerAppliesGoesAndTheRestStays() {
        client.resource(deployment(env("OWN", "1"))).create();
        apply("alice", envOnly(env("A", "1"), env("A2", "1")));
        apply("bob", envOnly(env("B", "1")));

        apply("alice", envOnly(env("A2", "1")));
        assertThat(environment()).containsExactly("OWN=1", "A2=1", "B=1");

        apply("alice", envOnly());
        assertThat(environment()).containsExactly("OWN=1", "B=1");
    }

    @Test
    void whatTwoManagersApplyStaysUntilBothLetGo() {
        client.resource(deployment(env("OWN", "1"))).create();
        apply("alice", envOnly(env("SHARED", "1")));
        apply("bob", envOnly(env("SHARED", "1")));

        apply("alice", envOnly());
        assertThat(environment()).containsExactly("OWN=1", "SHARED=1");

        apply("bob", envOnly());
        assertThat(environment()).containsExactly("OWN=1");
    }

    @Test
    void newEntriesComeAfterTheLiveOnesThatPrecedeTheNextSharedOne() {
        client.resource(deployment(env("A", "1"), env("B", "1"), env("C", "1"))).create();

        applyForced("alice", envOnly(env("X", "1"), env("B", "1"), env("Y", "1")));

        assertThat(environment()).containsExactly("A=1", "X=1", "B=1", "C=1", "Y=1");
    }

    @Test
    void aValueThatSomebodyElseSetIsAConflictThatNamesThem() {
        editedByHand();

        KubernetesClientException e = refused(409, () -> apply("alice", envOnly(env("OWN", "2"))));

        assertThat(e.getStatus().getReason()).isEqualTo("Conflict");
        assertThat(e.getStatus().getMessage())
                .startsWith("Apply failed with 1 conflict: conflict with \"kubectl-edit\" using apps/v1")
                .endsWith(": .spec.template.spec.containers[name=\"web\"].env[name=\"OWN\"].value");
        assertThat(e.getStatus().getDetails().getCauses()).singleElement().satisfies(cause -> {
            assertThat(cause.getReason()).isEqualTo("FieldManagerConflict");
            assertThat(cause.getField())
                    .isEqualTo(".spec.template.spec.containers[name=\"web\"].env[name=\"OWN\"].value");
        });
    }

    @Test
    void severalConflictsAreListedByManager() {
        editedByHand();
        apply("bob", envOnly(env("B", "1")));

        KubernetesClientException e = refused(409, () -> apply("alice", envOnly(env("B", "2"), env("OWN", "2"))));

        assertThat(e.getStatus().getMessage())
                .startsWith("Apply failed with 2 conflicts: conflicts with \"bob\":\n"
                        + "- .spec.template.spec.containers[name=\"web\"].env[name=\"B\"].value\n"
                        + "conflicts with \"kubectl-edit\" using apps/v1");
    }

    @Test
    void theSameValueIsNoConflict() {
        editedByHand();

        apply("alice", envOnly(env("OWN", "1")));

        assertThat(environment()).containsExactly("OWN=1");
    }

    @Test
    void aForcedApplyTakesTheFieldAway() {
        client.resource(deployment(env("OWN", "1"))).create();
        apply("bob", envOnly(env("B", "1")));

        applyForced("alice", envOnly(env("B", "2")));
        assertThat(environment()).containsExactly("OWN=1", "B=2");

        refused(409, () -> apply("bob", envOnly(env("B", "1"))));
    }

    @Test
    void valueFromOverAValueIsRefusedEvenForced() {
        client.resource(deployment(env("OWN", "1"))).create();
        EnvVar reference = new EnvVarBuilder()
                .withName("OWN")
                .withNewValueFrom()
                .withNewSecretKeyRef("key", "secret", false)
                .endValueFrom()
                .build();

        for (int i = 0; i < 2; i++) {
            boolean forced = i == 1;
            KubernetesClientException e = refused(422, () -> {
                if (forced) {
                    applyForced("alice", envOnly(reference));
                } else {
                    apply("alice", envOnly(reference));
                }
            });
            assertThat(e.getStatus().getMessage())
                    .contains("spec.template.spec.containers[0].env[0].valueFrom")
                    .contains("may not be specified when `value` is not empty");
        }
    }

    @Test
    void aReplaceTakesAwayWhatWasApplied() {
        client.resource(deployment(env("OWN", "1"))).create();
        apply("alice", envOnly(env("A", "1")));

        Deployment replacement = deployment(env("OWN", "1"));
        replacement.getMetadata().setResourceVersion(live().getMetadata().getResourceVersion());
        client.resource(replacement).update();

        assertThat(environment()).containsExactly("OWN=1");
        assertThat(managers()).doesNotContain("alice Apply");
        apply("alice", envOnly(env("A", "1")));
        assertThat(environment()).containsExactly("OWN=1", "A=1");
    }

    @Test
    void aJsonPatchTakesOwnershipOfWhatItChanges() {
        client.resource(deployment(env("OWN", "1"))).create();
        apply("alice", envOnly(env("A", "1")));

        editByHand(1, "2");

        KubernetesClientException e = refused(409, () -> apply("alice", envOnly(env("A", "1"))));
        assertThat(e.getStatus().getMessage()).contains("conflict with \"kubectl-edit\"");
    }

    @Test
    void anApplyWithAnotherResourceVersionIsRefused() {
        client.resource(deployment(env("OWN", "1"))).create();
        Deployment stale = envOnly(env("A", "1"));
        stale.getMetadata().setResourceVersion("1");

        refused(409, () -> apply("alice", stale));
        assertThat(environment()).containsExactly("OWN=1");
    }

    @Test
    void ownersAreRecordedByManagerOperationAndSubresource() {
        apply("alice", deployment(env("A", "1")));
        client.resource(statusOnly(1)).subresource("status").patch(applying("carol", false));

        assertThat(managers()).containsExactlyInAnyOrder("alice Apply ", "carol Apply status");
        assertThat(live().getMetadata().getManagedFields())
                .filteredOn(entry -> entry.getManager().equals("alice"))
                .singleElement()
                .extracting(entry -> entry.getFieldsV1().toString())
                .asString()
                .contains("k:{\"name\":\"web\"}")
                .contains("k:{\"name\":\"A\"}");
    }

    @Test
    void aStatusApplyLeavesTheSpecAlone() {
        client.resource(deployment(env("OWN", "1"))).create();
        Deployment both = statusOnly(1);
        both.setSpec(envOnly(env("A", "1")).getSpec());

        client.resource(both).subresource("status").patch(applying("carol", false));

        assertThat(live().getStatus().getReplicas()).isEqualTo(1);
        assertThat(environment()).containsExactly("OWN=1");
        assertThat(live().getMetadata().getGeneration()).isEqualTo(1);
    }

    @Test
    void theMainEndpointIgnoresStatus() {
        client.resource(deployment(env("OWN", "1"))).create();
        client.resource(statusOnly(1)).subresource("status").patch(applying("carol", false));

        Deployment next = live();
        next.setStatus(statusOnly(7).getStatus());
        client.resource(next).update();

        assertThat(live().getStatus().getReplicas()).isEqualTo(1);
    }

    @Test
    void annotationsOfATemplateAreOwnedOneByOne() {
        client.resource(deployment(env("OWN", "1"))).create();
        apply("alice", annotated("a", "1"));
        apply("bob", annotated("b", "1"));

        apply("alice", envOnly());

        assertThat(live().getSpec().getTemplate().getMetadata().getAnnotations())
                .isEqualTo(Map.of("b", "1"));
    }

    // Generations and versions

    @Test
    void aDeploymentsGenerationCountsSpecAndAnnotations() {
        client.resource(deployment(env("OWN", "1"))).create();
        assertThat(live().getMetadata().getGeneration()).isEqualTo(1);

        apply("alice", envOnly(env("A", "1")));
        assertThat(live().getMetadata().getGeneration()).isEqualTo(2);

        Deployment labelled = live();
        labelled.getMetadata().setLabels(Map.of("a", "b"));
        client.resource(labelled).update();
        assertThat(live().getMetadata().getGeneration()).isEqualTo(2);

        Deployment noted = live();
        noted.getMetadata().setAnnotations(Map.of("a", "b"));
        client.resource(noted).update();
        assertThat(live().getMetadata().getGeneration()).isEqualTo(3);
    }

    @Test
    void aStaleUpdateIsRefused() {
        client.resource(configMap("shared", Map.of("k", "1"))).create();
        ConfigMap stale =
                client.configMaps().inNamespace(namespace).withName("shared").get();
        client.resource(configMap("shared", Map.of("k", "2"))).update();

        stale.setData(Map.of("k", "3"));
        KubernetesClientException e =
                refused(409, () -> client.resource(stale).lockResourceVersion().update());

        assertThat(e.getStatus().getMessage()).contains("the object has been modified");
    }

    @Test
    void anUpdateThatChangesNothingKeepsTheVersion() {
        String before = client.resource(configMap("same", Map.of("k", "1")))
                .create()
                .getMetadata()
                .getResourceVersion();

        String after = client.resource(configMap("same", Map.of("k", "1")))
                .update()
                .getMetadata()
                .getResourceVersion();

        assertThat(after).isEqualTo(before);
    }

    // Ordinary objects

    @Test
    void aSecondCreateIsRefused() {
        client.resource(configMap("once", Map.of())).create();

        KubernetesClientException e =
                refused(409, () -> client.resource(configMap("once", Map.of())).create());

        assertThat(e.getStatus().getReason()).isEqualTo("AlreadyExists");
    }

    @Test
    void nothingIsCreatedInANamespaceThatIsAbsent() {
        ConfigMap lost = configMap("lost", Map.of());
        lost.getMetadata().setNamespace("nowhere");

        KubernetesClientException e = refused(404, () -> client.resource(lost).create());

        assertThat(e.getStatus().getMessage()).isEqualTo("namespaces \"nowhere\" not found");
    }

    @Test
    void stringDataBecomesData() {
        client.resource(secret().addToStringData("key", "value").build()).create();

        Secret read = client.secrets().inNamespace(namespace).withName("secret").get();
        assertThat(read.getData()).isEqualTo(Map.of("key", "dmFsdWU="));
        assertThat(read.getStringData()).isNullOrEmpty();
        assertThat(read.getType()).isEqualTo("Opaque");
    }

    @Test
    void anImmutableSecretStaysAsItIs() {
        client.resource(secret().addToData("key", "dmFsdWU=")
                        .withImmutable(true)
                        .build())
                .create();

        KubernetesClientException e = refused(
                422,
                () -> client.resource(secret().addToData("key", "b3RoZXI=")
                                .withImmutable(true)
                                .build())
                        .update());

        assertThat(e.getStatus().getMessage()).contains("field is immutable when `immutable` is set");
    }

    @Test
    void aMergePatchRemovesByNullAndReplacesLists() {
        ConfigMap map = configMap("patched", Map.of("keep", "1", "drop", "1"));
        map.getMetadata().setFinalizers(List.of("contract.flynn.io/a", "contract.flynn.io/b"));
        client.resource(map).create();

        client.configMaps()
                .inNamespace(namespace)
                .withName("patched")
                .patch(
                        PatchContext.of(PatchType.JSON_MERGE),
                        "{\"data\":{\"drop\":null},\"metadata\":{\"finalizers\":[\"contract.flynn.io/a\"]}}");

        ConfigMap read =
                client.configMaps().inNamespace(namespace).withName("patched").get();
        assertThat(read.getData()).isEqualTo(Map.of("keep", "1"));
        assertThat(read.getMetadata().getFinalizers()).containsExactly("contract.flynn.io/a");
    }

    @Test
    void aFinalizerHoldsADeletedObject() {
        ConfigMap map = configMap("held", Map.of());
        map.getMetadata().setFinalizers(List.of("contract.flynn.io/hold"));
        client.resource(map).create();

        client.configMaps().inNamespace(namespace).withName("held").delete();
        ConfigMap held =
                client.configMaps().inNamespace(namespace).withName("held").get();
        assertThat(held.getMetadata().getDeletionTimestamp()).isNotNull();

        held.getMetadata().setFinalizers(List.of());
        client.resource(held).update();
        assertThat(client.configMaps().inNamespace(namespace).withName("held").get())
                .isNull();
    }

    @Test
    void aDeleteWithAnotherResourceVersionIsRefused() {
        client.resource(configMap("guarded", Map.of())).create();

        refused(
                409,
                () -> client.resource(configMap("guarded", Map.of()))
                        .lockResourceVersion("1")
                        .delete());
        assertThat(client.configMaps()
                        .inNamespace(namespace)
                        .withName("guarded")
                        .get())
                .isNotNull();
    }

    @Test
    void labelSelectorsKnowSets() {
        for (String stage : List.of("copy", "verify", "clean")) {
            ConfigMap map = configMap(stage, Map.of());
            map.getMetadata().setLabels(Map.of("stage", stage));
            client.resource(map).create();
        }
        ConfigMap unlabelled = configMap("unlabelled", Map.of());
        client.resource(unlabelled).create();
        var maps = client.configMaps().inNamespace(namespace);

        assertThat(names(maps.withLabelIn("stage", "copy", "verify").list().getItems()))
                .containsExactly("copy", "verify");
        assertThat(names(maps.withLabelNotIn("stage", "copy").list().getItems()))
                .contains("clean", "unlabelled", "verify")
                .doesNotContain("copy");
        assertThat(names(maps.withLabel("stage", "clean").list().getItems())).containsExactly("clean");
        assertThat(names(maps.withLabel("stage").list().getItems())).containsExactly("clean", "copy", "verify");
        assertThat(names(maps.withField("metadata.name", "copy").list().getItems()))
                .containsExactly("copy");
    }

    // Jobs

    @Test
    void aJobHasItsDefaults() {
        Job job = client.resource(job()).create();

        assertThat(job.getSpec().getBackoffLimit()).isEqualTo(6);
        assertThat(job.getSpec().getSuspend()).isFalse();
        assertThat(job.getSpec().getTemplate().getMetadata().getLabels())
                .containsEntry("batch.kubernetes.io/job-name", "job")
                .containsEntry(
                        "batch.kubernetes.io/controller-uid", job.getMetadata().getUid());
        assertThat(job.getSpec()
                        .getTemplate()
                        .getSpec()
                        .getContainers()
                        .getFirst()
                        .getTerminationMessagePath())
                .isEqualTo("/dev/termination-log");
    }

    @Test
    void aJobsTemplateCannotChange() {
        client.resource(job()).create();

        KubernetesClientException e = refused(
                422,
                () -> client.batch()
                        .v1()
                        .jobs()
                        .inNamespace(namespace)
                        .withName("job")
                        .edit(job -> new JobBuilder(job)
                                .editSpec()
                                .editTemplate()
                                .editSpec()
                                .editFirstContainer()
                                .withImage("other")
                                .endContainer()
                                .endSpec()
                                .endTemplate()
                                .endSpec()
                                .build()));

        assertThat(e.getStatus().getMessage()).contains("spec.template").contains("field is immutable");
    }

    @Test
    void aJobThatRestartsAlwaysIsRefused() {
        Job job = job();
        job.getSpec().getTemplate().getSpec().setRestartPolicy("Always");

        KubernetesClientException e = refused(422, () -> client.resource(job).create());

        assertThat(e.getStatus().getMessage())
                .contains("spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\"");
    }

    // Custom resources

    @Test
    void defaultsAreFilledInAlsoWithinDefaultObjects() {
        GenericKubernetesResource widget = client.resource(widget("size: 3")).create();

        assertThat(widget.<String>get("spec", "mode")).isEqualTo("Run");
        assertThat(widget.<Integer>get("spec", "policy", "retries")).isEqualTo(5);
        assertThat(widget.<Integer>get("status", "observedGeneration")).isEqualTo(-1);
    }

    @Test
    void badValuesAreRefusedByField() {
        assertInvalid("mode: Run", "spec.size: Required value");
        assertInvalid("size: 65", "spec.size: Invalid value: 65: spec.size in body should be less than or equal to 64");
        assertInvalid("size: 0", "spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1");
        assertInvalid(
                "size: many",
                "spec.size: Invalid value: \"string\": spec.size in body must be of type integer: \"string\"");
        assertInvalid(
                "size: 1\n  mode: Walk", "spec.mode: Unsupported value: \"Walk\": supported values: \"Run\", \"Plan\"");
        assertInvalid(
                "size: 1\n  name: A-b",
                "spec.name: Invalid value: \"A-b\": spec.name in body should match '^[a-z0-9]+$'");
        assertInvalid("size: 1\n  name: abcdef", "spec.name: Too long: may not be more than 5 bytes");
        assertInvalid("size: 1\n  from: x\n  to: x", "spec: Invalid value: from and to must differ");
    }

    @Test
    void unknownFieldsAreRefusedWhenAskedToBeStrictAndDroppedOtherwise() {
        GenericKubernetesResource widget = widget("size: 1\n  colour: red");

        KubernetesClientException e = refused(
                400,
                () -> client.resource(widget)
                        .fieldValidation(io.fabric8.kubernetes.client.dsl.FieldValidateable.Validation.STRICT)
                        .create());
        assertThat(e.getStatus().getMessage()).contains("strict decoding error: unknown field \"spec.colour\"");

        assertThat(client.resource(widget).create().<String>get("spec", "colour"))
                .isNull();
    }

    @Test
    void aTransitionRuleComparesWithTheOldValue() {
        client.resource(widget("size: 1\n  fixed: a")).create();

        KubernetesClientException e = refused(
                422, () -> client.resource(widget("size: 1\n  fixed: b")).update());

        assertThat(e.getStatus().getMessage()).contains("spec.fixed: Invalid value: \"b\": fixed is immutable");
    }

    @Test
    void aCustomResourcesStatusIsASubresource() {
        GenericKubernetesResource sent = widget("size: 1");
        sent.setAdditionalProperty("status", Map.of("note", "mine"));
        GenericKubernetesResource created = client.resource(sent).create();
        assertThat(created.<String>get("status", "note")).isNull();

        GenericKubernetesResource status = widget("size: 9");
        status.setAdditionalProperty("status", Map.of("note", "theirs"));
        client.resource(status).subresource("status").patch(applying("carol", false));

        GenericKubernetesResource read = client.resource(widget("size: 1")).get();
        assertThat(read.<String>get("status", "note")).isEqualTo("theirs");
        assertThat(read.<Integer>get("spec", "size")).isEqualTo(1);
        assertThat(read.getMetadata().getGeneration()).isEqualTo(1);
    }

    @Test
    void conditionsOfTwoManagersStandSideBySide() {
        client.resource(widget("size: 1")).create();

        applyCondition("alice", "Ready");
        applyCondition("bob", "Stalled");

        List<Map<String, String>> conditions =
                client.resource(widget("size: 1")).get().get("status", "conditions");
        assertThat(conditions).extracting(condition -> condition.get("type")).containsExactly("Ready", "Stalled");
    }

    @Test
    void aListWithoutATypeIsReplacedAsAWhole() {
        apply("alice", widget("size: 1\n  tags: [a, b]"));

        apply("alice", widget("size: 1\n  tags: [c]"));

        assertThat(client.resource(widget("size: 1")).get().<List<String>>get("spec", "tags"))
                .containsExactly("c");
    }

    @Test
    void applyingAnUnknownFieldIsRefused() {
        KubernetesClientException e = catchThrowableOfType(
                KubernetesClientException.class, () -> apply("alice", widget("size: 1\n  colour: red")));

        assertThat(e).isNotNull();
        assertThat(e.getStatus().getMessage()).contains("colour");
    }

    // What the tests are made of

    private void applyCondition(String manager, String type) {
        GenericKubernetesResource status = widget("size: 1");
        status.setAdditionalProperty("status", Map.of("conditions", List.of(Map.of("type", type, "status", "True"))));
        client.resource(status).subresource("status").patch(applying(manager, false));
    }

    private void assertInvalid(String spec, String message) {
        KubernetesClientException e =
                refused(422, () -> client.resource(widget(spec)).create());
        assertThat(e.getStatus().getReason()).isEqualTo("Invalid");
        assertThat(e.getStatus().getMessage())
                .startsWith("Widget.contract.flynn.io \"widget\" is invalid: ")
                .contains(message);
    }

    private static KubernetesClientException refused(int code, ThrowingCallable call) {
        KubernetesClientException e = catchThrowableOfType(KubernetesClientException.class, call);
        assertThat(e).as("was not refused").isNotNull();
        assertThat(e.getCode()).as(e.getMessage()).isEqualTo(code);
        return e;
    }

    private static PatchContext applying(String manager, boolean force) {
        return new PatchContext.Builder()
                .withPatchType(PatchType.SERVER_SIDE_APPLY)
                .withFieldManager(manager)
                .withForce(force)
                .build();
    }

    private void apply(String manager, HasMetadata intent) {
        client.resource(intent).patch(applying(manager, false));
    }

    private void applyForced(String manager, HasMetadata intent) {
        client.resource(intent).patch(applying(manager, true));
    }

    /** A Deployment whose variable OWN was set by {@code kubectl edit}. */
    private void editedByHand() {
        client.resource(deployment(env("OWN", "0"))).create();
        editByHand(0, "1");
    }

    private void editByHand(int variable, String value) {
        client.apps()
                .deployments()
                .inNamespace(namespace)
                .withName("web")
                .patch(
                        new PatchContext.Builder()
                                .withPatchType(PatchType.JSON)
                                .withFieldManager("kubectl-edit")
                                .build(),
                        """
                        [{"op": "replace", "path": "/spec/template/spec/containers/0/env/%d/value", "value": "%s"}]
                        """.formatted(variable, value));
    }

    private Deployment live() {
        return client.apps()
                .deployments()
                .inNamespace(namespace)
                .withName("web")
                .get();
    }

    private List<String> environment() {
        return live().getSpec().getTemplate().getSpec().getContainers().getFirst().getEnv().stream()
                .map(entry -> entry.getName() + "=" + entry.getValue())
                .toList();
    }

    private List<String> managers() {
        return live().getMetadata().getManagedFields().stream()
                .map(ClusterContract::manager)
                .toList();
    }

    private static String manager(ManagedFieldsEntry entry) {
        return "%s %s %s"
                .formatted(
                        entry.getManager(),
                        entry.getOperation(),
                        entry.getSubresource() == null ? "" : entry.getSubresource());
    }

    private static List<String> names(List<? extends HasMetadata> objects) {
        return objects.stream().map(object -> object.getMetadata().getName()).toList();
    }

    private static EnvVar env(String name, String value) {
        return new EnvVar(name, value, null);
    }

    private Deployment deployment(EnvVar... env) {
        return new DeploymentBuilder(envOnly(env))
                .editSpec()
                .withNewSelector()
                .addToMatchLabels("app", "web")
                .endSelector()
                .editTemplate()
                .editOrNewMetadata()
                .addToLabels("app", "web")
                .endMetadata()
                .editSpec()
                .editFirstContainer()
                .withImage("web:1")
                .endContainer()
                .endSpec()
                .endTemplate()
                .endSpec()
                .build();
    }

    /** No more than what a backend's apply holds. */
    private Deployment envOnly(EnvVar... env) {
        return new DeploymentBuilder()
                .withNewMetadata()
                .withName("web")
                .withNamespace(namespace)
                .endMetadata()
                .withNewSpec()
                .withNewTemplate()
                .withNewSpec()
                .addNewContainer()
                .withName("web")
                .withEnv(env)
                .endContainer()
                .endSpec()
                .endTemplate()
                .endSpec()
                .build();
    }

    private Deployment annotated(String key, String value) {
        return new DeploymentBuilder(envOnly())
                .editSpec()
                .editTemplate()
                .withNewMetadata()
                .addToAnnotations(key, value)
                .endMetadata()
                .endTemplate()
                .endSpec()
                .build();
    }

    private Deployment statusOnly(int replicas) {
        return new DeploymentBuilder()
                .withNewMetadata()
                .withName("web")
                .withNamespace(namespace)
                .endMetadata()
                .withNewStatus()
                .withReplicas(replicas)
                .endStatus()
                .build();
    }

    private ConfigMap configMap(String name, Map<String, String> data) {
        return new ConfigMapBuilder()
                .withNewMetadata()
                .withName(name)
                .withNamespace(namespace)
                .endMetadata()
                .withData(data)
                .build();
    }

    private SecretBuilder secret() {
        return new SecretBuilder()
                .withNewMetadata()
                .withName("secret")
                .withNamespace(namespace)
                .endMetadata();
    }

    private Job job() {
        return new JobBuilder()
                .withNewMetadata()
                .withName("job")
                .withNamespace(namespace)
                .endMetadata()
                .withNewSpec()
                .withNewTemplate()
                .withNewSpec()
                .withRestartPolicy("Never")
                .addNewContainer()
                .withName("worker")
                .withImage("worker:1")
                .endContainer()
                .endSpec()
                .endTemplate()
                .endSpec()
                .build();
    }

    private GenericKubernetesResource widget(String spec) {
        return new KubernetesSerialization().unmarshal("""
                        apiVersion: contract.flynn.io/v1
                        kind: Widget
                        metadata: {name: widget, namespace: %s}
                        spec:
                          %s
                        """.formatted(namespace, spec), GenericKubernetesResource.class);
    }
}
