package io.flynn.blobstore.app;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class SafetyTest {

    /** A method's name, which is a sentence, or that of a class of tests. */
    private static final Pattern NAMED =
            Pattern.compile("`([a-z]+[A-Z]\\w{15,}|[A-Z][a-z]\\w*(?:Test|IT|Contract|Conformance))`");

    private static final Pattern DECLARED = Pattern.compile("(?:\\bvoid|\\bclass|\\binterface|\\bArchRule) (\\w+)");

    @Test
    void everyTestThatSafetyNamesIsThere() throws Exception {
        Set<String> declared = new TreeSet<>();
        try (Stream<Path> sources = Files.walk(Path.of("src/test/java"))) {
            for (Path source :
                    (Iterable<Path>) sources.filter(file -> file.toString().endsWith(".java"))::iterator) {
                declared.addAll(all(DECLARED, source));
            }
        }

        List<String> named = all(NAMED, Path.of("SAFETY.md"));

        assertThat(named).hasSizeGreaterThan(200);
        assertThat(declared).containsAll(named);
    }

    private static List<String> all(Pattern pattern, Path file) throws IOException {
        return pattern.matcher(Files.readString(file))
                .results()
                .map(found -> found.group(1))
                .toList();
    }
}
