package io.flynn.blobstore.testkit.cluster;

import com.fasterxml.jackson.databind.JsonNode;
import dev.cel.common.CelAbstractSyntaxTree;
import dev.cel.common.CelValidationException;
import dev.cel.common.types.SimpleType;
import dev.cel.compiler.CelCompiler;
import dev.cel.compiler.CelCompilerFactory;
import dev.cel.extensions.CelExtensions;
import dev.cel.extensions.CelOptionalLibrary;
import dev.cel.parser.CelStandardMacro;
import dev.cel.runtime.CelEvaluationException;
import dev.cel.runtime.CelRuntime;
import dev.cel.runtime.CelRuntimeFactory;
import io.flynn.blobstore.testkit.cluster.ApiFailure.Cause;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * The {@code x-kubernetes-validations} of a schema, compiled once and evaluated on every write.
 *
 * <p>Stricter than Kubernetes or unlike it: values are untyped ({@code dyn}), so a misspelled field is an error when the rule runs, not
 * when it is compiled; of Kubernetes' own libraries only CEL's string extensions and optionals exist, and another function doesn't compile.
 */
final class CelRules {

    private static final CelCompiler COMPILER = CelCompilerFactory.standardCelCompilerBuilder()
            .setStandardMacros(CelStandardMacro.STANDARD_MACROS)
            .addLibraries(CelExtensions.strings(), CelOptionalLibrary.INSTANCE)
            .addVar("self", SimpleType.DYN)
            .addVar("oldSelf", SimpleType.DYN)
            .build();

    private static final CelRuntime RUNTIME = CelRuntimeFactory.standardCelRuntimeBuilder()
            .addLibraries(CelExtensions.strings(), CelOptionalLibrary.INSTANCE)
            .build();

    /** Names of fields that are words of CEL: rules write them between double underscores. */
    private static final Set<String> RESERVED = Set.of(
            "true",
            "false",
            "null",
            "in",
            "as",
            "break",
            "const",
            "continue",
            "else",
            "for",
            "function",
            "if",
            "import",
            "let",
            "loop",
            "package",
            "namespace",
            "return",
            "var",
            "void",
            "while");

    private record Rule(
            CelRuntime.Program program,
            boolean transition,
            String message,
            Optional<CelRuntime.Program> messageProgram,
            String reason,
            String fieldPath) {}

    private final JsonNode root;
    private final Map<JsonNode, List<Rule>> compiled = new HashMap<>();

    CelRules(JsonNode root) {
        this.root = root;
        compile(root);
    }

    void check(JsonNode object, JsonNode old, List<Cause> causes) {
        check(object, old.isEmpty() ? Optional.empty() : Optional.of(old), root, "", causes);
    }

    private void compile(JsonNode schema) {
        if (schema.has("x-kubernetes-validations")) {
            List<Rule> rules = new ArrayList<>();
            for (JsonNode rule : schema.get("x-kubernetes-validations")) {
                if (rule.path("optionalOldSelf").asBoolean()) {
                    throw ApiFailure.notImplemented("optionalOldSelf");
                }
                String expression = Json.text(rule, "rule");
                rules.add(new Rule(
                        program(expression),
                        expression.contains("oldSelf"),
                        rule.has("message") ? Json.text(rule, "message") : "failed rule: " + expression,
                        Optional.ofNullable(rule.get("messageExpression"))
                                .map(JsonNode::asText)
                                .map(CelRules::program),
                        rule.has("reason") ? Json.text(rule, "reason") : "FieldValueInvalid",
                        Json.text(rule, "fieldPath")));
            }
            compiled.put(schema.get("x-kubernetes-validations"), rules);
        }
        schema.path("properties").forEach(this::compile);
        if (schema.path("additionalProperties").isObject()) {
            compile(schema.get("additionalProperties"));
        }
        if (schema.has("items")) {
            compile(schema.get("items"));
        }
    }

    private static CelRuntime.Program program(String expression) {
        try {
            CelAbstractSyntaxTree tree = COMPILER.compile(expression).getAst();
            return RUNTIME.createProgram(tree);
        } catch (CelValidationException | CelEvaluationException e) {
            throw ApiFailure.badRequest("rule \"%s\" does not compile: %s".formatted(expression, e.getMessage()));
        }
    }

    private void check(JsonNode value, Optional<JsonNode> old, JsonNode schema, String path, List<Cause> causes) {
        for (Rule rule : compiled.getOrDefault(schema.path("x-kubernetes-validations"), List.of())) {
            if (!rule.transition() || old.isPresent()) {
                check(rule, value, old, path, causes);
            }
        }
        if (value.isObject()) {
            value.properties().forEach(field -> {
                JsonNode inner = schema.path("properties").path(field.getKey());
                if (inner.isMissingNode()) {
                    inner = schema.path("additionalProperties");
                }
                if (inner.isObject()) {
                    check(
                            field.getValue(),
                            old.map(o -> o.get(field.getKey())),
                            inner,
                            path.isEmpty() ? field.getKey() : path + "." + field.getKey(),
                            causes);
                }
            });
        } else if (value.isArray()) {
            // Kubernetes correlates old items of keyed lists only; no transition rule in use sits below a list.
            for (int i = 0; i < value.size(); i++) {
                check(value.get(i), Optional.empty(), schema.path("items"), path + "[" + i + "]", causes);
            }
        }
    }

    private static void check(Rule rule, JsonNode value, Optional<JsonNode> old, String path, List<Cause> causes) {
        Map<String, Object> variables = new HashMap<>();
        variables.put("self", plain(value));
        old.ifPresent(o -> variables.put("oldSelf", plain(o)));
        String field = path + rule.fieldPath();
        if (path.isEmpty() && field.startsWith(".")) {
            field = field.substring(1);
        }
        try {
            if (!Boolean.TRUE.equals(rule.program().eval(variables))) {
                String message = rule.messageProgram().isPresent()
                        ? String.valueOf(rule.messageProgram().get().eval(variables))
                        : rule.message();
                causes.add(cause(rule.reason(), field, value, message));
            }
        } catch (CelEvaluationException e) {
            causes.add(Cause.invalid(field, shown(value), "rule evaluation error: " + e.getMessage()));
        }
    }

    private static Cause cause(String reason, String field, JsonNode value, String message) {
        return switch (reason) {
            case "FieldValueForbidden" -> Cause.forbidden(field, message);
            case "FieldValueRequired" -> new Cause(reason, field, "Required value: " + message);
            case "FieldValueDuplicate" ->
                new Cause(reason, field, "Duplicate value: %s: %s".formatted(shown(value), message));
            default -> Cause.invalid(field, shown(value), message);
        };
    }

    /** Kubernetes shows scalars, and leaves out what is larger. */
    private static String shown(JsonNode value) {
        return value.isContainerNode() ? "" : value.toString();
    }

    private static Object plain(JsonNode node) {
        return switch (node.getNodeType()) {
            case OBJECT -> {
                Map<String, Object> map = new LinkedHashMap<>();
                node.properties().forEach(field -> map.put(escaped(field.getKey()), plain(field.getValue())));
                yield map;
            }
            case ARRAY -> {
                List<Object> list = new ArrayList<>();
                node.forEach(item -> list.add(plain(item)));
                yield list;
            }
            case NUMBER -> node.isIntegralNumber() ? (Object) node.longValue() : (Object) node.doubleValue();
            case BOOLEAN -> node.booleanValue();
            case NULL -> dev.cel.common.values.NullValue.NULL_VALUE;
            default -> node.asText();
        };
    }

    private static String escaped(String field) {
        return RESERVED.contains(field) ? "__" + field + "__" : field;
    }
}
