package io.flynn.blobstore;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.classfile.ClassFile;
import java.lang.classfile.CodeModel;
import java.lang.classfile.Instruction;
import java.lang.classfile.instruction.InvokeDynamicInstruction;
import java.lang.classfile.instruction.InvokeInstruction;
import java.lang.classfile.instruction.LoadInstruction;
import java.lang.classfile.instruction.StoreInstruction;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

/**
 * No SQL is put together from parts where it is executed: values are bound. Reads the compiled code, since a constant that is written as a
 * concatenation is one, and sees what is concatenated within the method that executes it.
 */
class SqlIsConstantTest {
    private static final Set<String> SQL_OWNERS =
            Set.of("java/sql/Statement", "java/sql/Connection", "java/sql/PreparedStatement");
    private static final Set<String> SQL_METHODS = Set.of(
            "execute",
            "executeQuery",
            "executeUpdate",
            "executeLargeUpdate",
            "addBatch",
            "prepareStatement",
            "prepareCall",
            "nativeSQL");
    private static final Set<String> JOINING =
            Set.of("formatted", "format", "concat", "join", "replace", "replaceAll", "replaceFirst", "repeat");

    @Test
    void inTheProgram() throws IOException {
        assertThat(violations(Path.of("target/classes/io/flynn/blobstore"))).isEmpty();
    }

    @Test
    void isSeenWhereItIsBroken() throws IOException {
        assertThat(violations(Path.of("target/test-classes/io/flynn/blobstore/SqlIsConstantTest$Broken.class")))
                .containsExactlyInAnyOrder(
                        "SqlIsConstantTest$Broken.concatenated", "SqlIsConstantTest$Broken.keptFirst");
    }

    private static List<String> violations(Path folder) throws IOException {
        var violations = new ArrayList<String>();
        try (var files = Files.walk(folder)) {
            for (var file :
                    files.filter(path -> path.toString().endsWith(".class")).toList()) {
                var type = ClassFile.of().parse(file);
                for (var method : type.methods()) {
                    if (method.code()
                            .filter(SqlIsConstantTest::executesJoinedText)
                            .isPresent()) {
                        violations.add(type.thisClass().asSymbol().displayName() + "." + method.methodName());
                    }
                }
            }
        }
        return violations;
    }

    private static boolean executesJoinedText(CodeModel code) {
        var instructions = code.elementStream()
                .filter(Instruction.class::isInstance)
                .map(Instruction.class::cast)
                .toList();
        var joined = new HashSet<Integer>();
        for (int i = 1; i < instructions.size(); i++) {
            if (instructions.get(i) instanceof StoreInstruction store && joins(instructions.get(i - 1))) {
                joined.add(store.slot());
            }
            if (instructions.get(i) instanceof InvokeInstruction call && isSql(call)) {
                int arguments = call.typeSymbol().parameterCount();
                for (var pushed : instructions.subList(Math.max(0, i - arguments), i)) {
                    if (joins(pushed) || (pushed instanceof LoadInstruction load && joined.contains(load.slot()))) {
                        return true;
                    }
                }
            }
        }
        return false;
    }

    private static boolean isSql(InvokeInstruction call) {
        return SQL_OWNERS.contains(call.owner().asInternalName())
                && SQL_METHODS.contains(call.name().stringValue())
                && call.typeSymbol().parameterCount() > 0;
    }

    private static boolean joins(Instruction instruction) {
        return switch (instruction) {
            case InvokeDynamicInstruction call -> call.name().equalsString("makeConcatWithConstants");
            case InvokeInstruction call ->
                (call.owner().asInternalName().equals("java/lang/String")
                                && JOINING.contains(call.name().stringValue()))
                        || (call.owner().asInternalName().matches("java/lang/StringBu(ilder|ffer)")
                                && call.name().equalsString("toString"));
            default -> false;
        };
    }

    /** What must be found. */
    @SuppressWarnings("unused")
    private static final class Broken {
        private static final String TABLE = "files";

        void constant(java.sql.Connection connection) throws java.sql.SQLException {
            try (var statement = connection.prepareStatement("SELECT count(*) FROM " + TABLE)) {
                statement.execute();
            }
        }

        void concatenated(java.sql.Statement statement, String name) throws java.sql.SQLException {
            statement.execute("DELETE FROM files WHERE name = '" + name + "'");
        }

        void keptFirst(java.sql.Connection connection, String name) throws java.sql.SQLException {
            var sql = "DELETE FROM files WHERE name = '%s'".formatted(name);
            connection
                    .prepareStatement(sql, java.sql.Statement.NO_GENERATED_KEYS)
                    .close();
        }
    }
}
