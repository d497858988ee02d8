package io.flynn.blobstore.app;

import java.io.File;
import java.net.URI;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;

/** How tests and benchmarks start the program as a process of its own, from the class path that they run on. */
public final class OurProgram {

    private OurProgram() {}

    /** @param arguments a role and what follows it; what begins with {@code -X} before it is for the JVM, and wins over ours */
    public static List<String> command(String... arguments) {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                // They live for seconds: what the second compiler would gain, it costs.
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1"));
        List<String> given = List.of(arguments);
        int role = 0;
        while (role < given.size() && given.get(role).startsWith("-X")) {
            role++;
        }
        command.addAll(given.subList(0, role));
        command.addAll(List.of("-cp", classPath(), Main.class.getName()));
        command.addAll(given.subList(role, given.size()));
        return command;
    }

    /** Without the tests themselves, which say how tests log. */
    private static String classPath() {
        Path tests = Path.of(URI.create(OurProgram.class
                .getProtectionDomain()
                .getCodeSource()
                .getLocation()
                .toString()));
        return Arrays.stream(System.getProperty("java.class.path").split(File.pathSeparator))
                .filter(entry -> !Path.of(entry).toAbsolutePath().equals(tests))
                .collect(Collectors.joining(File.pathSeparator));
    }
}
