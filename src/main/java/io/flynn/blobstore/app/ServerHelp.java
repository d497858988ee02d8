package io.flynn.blobstore.app;

import io.flynn.blobstore.serve.ServerSettings;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine.Help;
import picocli.CommandLine.Help.Ansi;
import picocli.CommandLine.Help.Column;
import picocli.CommandLine.Help.Column.Overflow;
import picocli.CommandLine.Help.TextTable;
import picocli.CommandLine.IModelTransformer;
import picocli.CommandLine.Model.CommandSpec;

/** Says in the server's {@code --help} what every setting is called, is if unset, and means. */
final class ServerHelp implements IModelTransformer {

    private static final int WIDTH = 110;
    private static final int VARIABLE_WIDTH = 34;
    private static final int DEFAULT_WIDTH = 12;

    private record Line(String variable, String ifUnset, String meaning) {}

    /** What others decode: the database's access, the backends, the log. */
    private static final List<Line> OTHERS = List.of(
            new Line("PGHOST", "", "the database's host"),
            new Line("PGPORT", "5432", "the database's port"),
            new Line("PGUSER", "", "the role to log in as"),
            new Line("PGPASSWORD", "", "its password"),
            new Line("PGDATABASE", "", "the database"),
            new Line("PGSSLMODE", "prefer", "as libpq has it: disable, allow, prefer, require, verify-ca, verify-full"),
            new Line(
                    "BACKEND_<NAME>",
                    "",
                    "an external backend, its name of letters and digits, in tokens key=value with spaces between: e.g."
                            + " BACKEND_S3MAIN is backend=s3 region=… bucket=… access_key_id=… secret_access_key=…; instead of the"
                            + " two keys ec2_role=true takes those of the machine's role. Nothing quotes: quotation marks are part"
                            + " of a value, and a space ends it"),
            new Line(
                    "BACKEND_<NAME>_<KEY>",
                    "",
                    "one key of a backend that BACKEND_<NAME> describes, e.g. BACKEND_S3MAIN_SECRET_ACCESS_KEY, and wins over its"
                            + " token there. The value is taken whole: \"=\" and quotation marks are part of it; with a space, a"
                            + " newline or another control character in it the backend isn't used"),
            new Line("DEFAULT_BACKEND", "postgres", "where new blobs go"),
            new Line("BLOBSTORE_LOG_LEVEL", "INFO", "of the log on standard error: DEBUG, INFO, WARN, ERROR"));

    @Override
    public CommandSpec transform(CommandSpec command) {
        List<Line> lines = new ArrayList<>();
        ServerSettings.ALL.forEach(
                setting -> lines.add(new Line(setting.variable(), setting.ifUnset(), setting.meaning())));
        lines.addAll(OTHERS);
        TextTable table = TextTable.forColumns(
                Help.defaultColorScheme(Ansi.OFF),
                new Column(VARIABLE_WIDTH, 2, Overflow.TRUNCATE),
                new Column(DEFAULT_WIDTH, 0, Overflow.TRUNCATE),
                new Column(WIDTH - VARIABLE_WIDTH - DEFAULT_WIDTH, 0, Overflow.WRAP));
        lines.forEach(line -> table.addRowValues(line.variable(), line.ifUnset(), line.meaning()));
        // Percent signs would be read as formats.
        command.usageMessage()
                .width(WIDTH)
                .footer(table.toString().replace("%", "%%").split("\\R"));
        return command;
    }
}
