package io.flynn.blobstore.testkit.story;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** {@code pg_dump} and {@code pg_restore} in their custom format, as most backups of a blobstore are made. */
record PgDump(int major) implements Backup {

    private static final Pattern VERSION = Pattern.compile("\\(PostgreSQL\\) (\\d+)");
    private static final long PATIENCE_MINUTES = 10;

    /** The installed programs, if both are there and as new as the server. */
    static Optional<PgDump> installed(int serverMajor) throws InterruptedException {
        Optional<Integer> dump = majorOf("pg_dump");
        Optional<Integer> restore = majorOf("pg_restore");
        return dump.filter(major -> major >= serverMajor && restore.equals(dump))
                .map(PgDump::new);
    }

    @Override
    public String how() {
        return "pg_dump " + major;
    }

    @Override
    public void take(Database database, Path file) throws IOException, InterruptedException {
        run(database, "pg_dump", "--format=custom", "--file=" + file, database.name());
    }

    @Override
    public void restore(Path file, Database empty) throws IOException, InterruptedException {
        run(empty, "pg_restore", "--no-owner", "--exit-on-error", "--dbname=" + empty.name(), file.toString());
    }

    private static void run(Database database, String program, String... arguments)
            throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(List.of(
                program,
                "--host=" + database.host(),
                "--port=" + database.port(),
                "--username=" + database.user(),
                "--no-password"));
        command.addAll(List.of(arguments));
        ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
        builder.environment().put("PGPASSWORD", database.password());
        Process process = builder.start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        if (!process.waitFor(PATIENCE_MINUTES, TimeUnit.MINUTES) || process.exitValue() != 0) {
            throw new IOException(program + " failed: " + output);
        }
    }

    private static Optional<Integer> majorOf(String program) throws InterruptedException {
        try {
            Process process = new ProcessBuilder(program, "--version")
                    .redirectErrorStream(true)
                    .start();
            String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            process.waitFor();
            Matcher version = VERSION.matcher(output);
            return version.find() ? Optional.of(Integer.valueOf(version.group(1))) : Optional.empty();
        } catch (IOException notInstalled) {
            return Optional.empty();
        }
    }
}
