package io.flynn.blobstore.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Compares a text with a committed file, so that a review shows what a change of code changes outside. To accept all changes:
 * {@code GOLDEN_UPDATE=true mvn test}, then read the difference.
 */
public final class Golden {

    private static final Path RESOURCES = Path.of("src/test/resources");

    private Golden() {}

    public static void assertMatches(String file, String actual) {
        Path path = RESOURCES.resolve(file);
        try {
            if ("true".equals(System.getenv("GOLDEN_UPDATE"))) {
                Files.createDirectories(path.getParent());
                Files.writeString(path, actual);
            }
            assertThat(actual).as(path.toString()).isEqualTo(Files.readString(path));
        } catch (IOException failure) {
            throw new UncheckedIOException(failure);
        }
    }
}
