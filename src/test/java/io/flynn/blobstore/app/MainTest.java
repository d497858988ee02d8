package io.flynn.blobstore.app;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import picocli.CommandLine;

class MainTest {

    @Test
    void onlyTheCommandsThatAreNamedAreMade() {
        CommandLine program = Main.commandLine("worker", "copy", "--retries", "1");

        assertThat(program.getSubcommands()).containsOnlyKeys("worker");
        assertThat(program.getSubcommands().get("worker").getSubcommands()).containsOnlyKeys("copy");
    }

    @ParameterizedTest
    @CsvSource({
        "'', operator server worker migrate check",
        "--help, operator server worker migrate check",
        "wurker, worker server operator",
        "worker, probe plan copy verify clean vacuum",
        "worker --help, probe plan copy verify clean vacuum",
        "worker copi, copy"
    })
    void whereNoneIsNamedAllAreOffered(String line, String offered) {
        StringWriter out = new StringWriter();

        execute(out, line.isEmpty() ? new String[0] : line.split(" "));

        assertThat(out.toString()).contains(offered.split(" "));
    }

    @ParameterizedTest
    @MethodSource("commands")
    void everyCommandHelpsAndTellsItsVersion(List<String> command) {
        StringWriter help = new StringWriter();
        StringWriter version = new StringWriter();

        assertThat(execute(help, with(command, "--help"))).isZero();
        assertThat(execute(version, with(command, "--version"))).isZero();

        assertThat(help.toString()).startsWith("Usage: blobstore " + String.join(" ", command) + " [-hV]");
        assertThat(version.toString()).startsWith("blobstore ");
    }

    private static Stream<List<String>> commands() {
        CommandLine program = Main.commandLine();
        return program.getSubcommands().entrySet().stream()
                .flatMap(role -> Stream.concat(
                        Stream.of(List.of(role.getKey())),
                        role.getValue().getSubcommands().keySet().stream()
                                .map(stage -> List.of(role.getKey(), stage))));
    }

    private static String[] with(List<String> command, String last) {
        List<String> all = new ArrayList<>(command);
        all.add(last);
        return all.toArray(String[]::new);
    }

    private static int execute(StringWriter out, String... arguments) {
        PrintWriter writer = new PrintWriter(out);
        return Main.commandLine(arguments).setOut(writer).setErr(writer).execute(arguments);
    }
}
