package io.flynn.blobstore.app;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.decide.ExitCode;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Properties;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.ScopeType;

/** The program: parses the command line and runs one role. */
@Command(
        name = "blobstore",
        description = "Keeps a blobstore's bytes in S3, and moves them there.",
        mixinStandardHelpOptions = true,
        scope = ScopeType.INHERIT,
        versionProvider = Main.Version.class,
        synopsisSubcommandLabel = "ROLE")
public final class Main {

    private static final List<Class<?>> ROLES =
            List.of(OperatorRole.class, ServerRole.class, WorkerRole.class, MigrateRole.class, CheckRole.class);

    private Main() {}

    public static void main(String[] arguments) {
        System.exit(execute(arguments));
    }

    static int execute(String... arguments) {
        return commandLine(arguments).execute(arguments);
    }

    /**
     * What parses {@code arguments}: it has the commands that they name, or all where they name none. To read every command's options costs a
     * fifth of a second of each start.
     */
    static CommandLine commandLine(String... arguments) {
        return withSubcommands(new CommandLine(new Main()), ROLES, List.of(arguments))
                .setCaseInsensitiveEnumValuesAllowed(true)
                .registerConverter(BackendName.class, BackendName::new)
                .registerConverter(Duration.class, new DurationConverter())
                .registerConverter(Instant.class, new InstantConverter())
                .setExitCodeExceptionMapper(Main::exitCode);
    }

    private static CommandLine withSubcommands(CommandLine command, List<Class<?>> all, List<String> arguments) {
        List<Class<?>> named = all.stream()
                .filter(type -> !arguments.isEmpty() && name(type).equals(arguments.getFirst()))
                .toList();
        List<String> rest = named.isEmpty() ? List.of() : arguments.subList(1, arguments.size());
        for (Class<?> type : named.isEmpty() ? all : named) {
            List<Class<?>> stages = type == WorkerRole.class ? WorkerRole.STAGES : List.of();
            command.addSubcommand(withSubcommands(new CommandLine(type), stages, rest));
        }
        return command;
    }

    private static String name(Class<?> type) {
        return type.getAnnotation(Command.class).name();
    }

    private static int exitCode(Throwable failure) {
        return (failure instanceof CommandLine.ParameterException ? ExitCode.USAGE : ExitCode.FAILED).value();
    }

    static String version() {
        Properties properties = new Properties();
        try (InputStream file = Main.class.getResourceAsStream("/version.properties")) {
            if (file == null) {
                throw new IllegalStateException("version.properties is not on the class path");
            }
            properties.load(file);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return properties.getProperty("version");
    }

    static final class Version implements CommandLine.IVersionProvider {
        @Override
        public String[] getVersion() {
            return new String[] {"blobstore " + version()};
        }
    }
}
