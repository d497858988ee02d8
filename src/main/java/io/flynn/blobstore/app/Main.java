package io.flynn.blobstore.app;

import io.flynn.blobstore.blob.BackendName;
import io.flynn.blobstore.decide.ExitCode;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.time.Instant;
import java.util.Properties;
import picocli.CommandLine;
import picocli.CommandLine.Command;

/** The program: parses the command line and runs one role. */
@Command(
        name = "blobstore",
        description = "Keeps a blobstore's bytes in S3, and moves them there.",
        mixinStandardHelpOptions = true,
        versionProvider = Main.Version.class,
        synopsisSubcommandLabel = "ROLE",
        subcommands = {OperatorRole.class, ServerRole.class, WorkerRole.class, MigrateRole.class, CheckRole.class})
public final class Main {

    private Main() {}

    public static void main(String[] arguments) {
        System.exit(commandLine().execute(arguments));
    }

    static CommandLine commandLine() {
        return new CommandLine(new Main())
                .setCaseInsensitiveEnumValuesAllowed(true)
                .registerConverter(BackendName.class, BackendName::new)
                .registerConverter(Duration.class, new DurationConverter())
                .registerConverter(Instant.class, new InstantConverter())
                .setExitCodeExceptionMapper(Main::exitCode);
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
