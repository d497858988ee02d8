package io.flynn.blobstore.app;

import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.decide.BackendEnvironment;
import io.flynn.blobstore.serve.ServerSettings;
import io.flynn.blobstore.serve.Setting;
import io.flynn.blobstore.store.postgres.PgSettings;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;

class ServerHelpTest {

    @Test
    void everyVariableThatIsReadIsExplainedWithItsDefault() {
        Asked asked = new Asked(Map.of("PGHOST", "h", "PGUSER", "u", "PGDATABASE", "d"));
        ServerSettings.decode(asked);
        Set<String> serverSettings = new TreeSet<>(asked.variables);
        PgSettings.decode(asked);
        asked.variables.add(BackendEnvironment.DEFAULT_VARIABLE);

        String help = help();

        assertThat(serverSettings)
                .hasSameElementsAs(
                        ServerSettings.ALL.stream().map(Setting::variable).toList());
        assertThat(asked.variables)
                .contains("PORT", "PGSSLMODE")
                .allSatisfy(variable -> assertThat(help).containsPattern("(?m)^ *" + variable + " "));
        for (Setting<?> setting : ServerSettings.ALL) {
            assertThat(help).containsPattern("(?m)^ *" + setting.variable() + " +" + setting.ifUnset() + " +\\S");
        }
    }

    @Test
    void quotingIsExplained() {
        assertThat(help().replaceAll("\\s+", " "))
                .contains("Nothing quotes")
                .contains("BACKEND_S3MAIN_SECRET_ACCESS_KEY")
                .contains("ec2_role=true");
    }

    private static String help() {
        StringWriter out = new StringWriter();
        int exitCode = Main.commandLine().setOut(new PrintWriter(out)).execute("server", "--help");
        assertThat(exitCode).isZero();
        return out.toString();
    }

    /** An environment that knows what it was asked for. */
    private static final class Asked extends HashMap<String, String> {

        private static final long serialVersionUID = 1L;

        private final transient Set<String> variables = new TreeSet<>();

        Asked(Map<String, String> values) {
            super(values);
        }

        @Override
        public String getOrDefault(Object variable, String otherwise) {
            variables.add((String) variable);
            return super.getOrDefault(variable, otherwise);
        }
    }
}
