package io.flynn.blobstore.move;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.HashSet;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;

/**
 * All blobs that a run could not deal with, one a line as it happens: the id of the row, the reason, what happened, with tabs between.
 * Another run can be given it to try only those.
 */
public final class FailureFile {

    /** Nothing is kept. */
    public static final FailureFile NONE = new FailureFile(Optional.empty());

    private final Optional<Path> path;

    private FailureFile(Optional<Path> path) {
        this.path = path;
    }

    /** @throws IllegalArgumentException if it can't be written; an older one is written over */
    public static FailureFile create(Path path) {
        try {
            Files.write(path, new byte[0]);
        } catch (IOException e) {
            throw new IllegalArgumentException("can't write " + path + ": " + e, e);
        }
        return new FailureFile(Optional.of(path));
    }

    /**
     * The ids in a file that a run has written.
     *
     * @throws IllegalArgumentException if it isn't there, or isn't one
     */
    public static Set<UUID> ids(Path path) {
        Set<UUID> ids = new HashSet<>();
        try {
            for (String line : Files.readAllLines(path, StandardCharsets.UTF_8)) {
                ids.add(UUID.fromString(line.split("\t", 2)[0]));
            }
        } catch (NoSuchFileException e) {
            throw new IllegalArgumentException("there is no file " + path, e);
        } catch (IOException e) {
            throw new IllegalArgumentException("can't read " + path + ": " + e, e);
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException(
                    path + " is no file of failures: line " + (ids.size() + 1) + " doesn't begin with a blob's id", e);
        }
        return ids;
    }

    void add(UUID id, String reason, String message) {
        path.ifPresent(file -> {
            String line = id + "\t" + reason + "\t" + message.replaceAll("\\p{Cntrl}+", " ") + "\n";
            try {
                Files.writeString(file, line, StandardOpenOption.APPEND);
            } catch (IOException e) {
                throw new UncheckedIOException("could not write to " + file, e);
            }
        });
    }
}
