package io.flynn.blobstore.blob;

import java.util.ArrayDeque;
import java.util.Deque;

/**
 * What a blob is called: a path with a leading slash, and nothing else about it has a meaning. Spaces, {@code %}, {@code _},
 * {@code *} and every other character stand for themselves, and no form of Unicode is made equal to another.
 *
 * <p>It is clean: no empty, {@code .} or {@code ..} segment and no slash at its end, but for the root itself.
 */
public record BlobName(String value) {

    public static final BlobName ROOT = new BlobName("/");

    /** @throws IllegalArgumentException if {@code value} is not clean, or holds U+0000, which the database can't store */
    public BlobName {
        if (!value.startsWith("/") || value.indexOf('\0') >= 0 || !value.equals(clean(value))) {
            throw new IllegalArgumentException("not a clean path: " + value);
        }
    }

    /**
     * Cleans a path as Go's {@code path.Clean} does, since that is how the deployed servers made the names in the database.
     *
     * @throws IllegalArgumentException if it has no leading slash, or holds U+0000
     */
    public static BlobName of(String path) {
        return new BlobName(clean(path));
    }

    public boolean isRoot() {
        return value.equals("/");
    }

    /** What the names below this one start with. */
    public String prefix() {
        return isRoot() ? value : value + "/";
    }

    private static String clean(String path) {
        if (!path.startsWith("/")) {
            throw new IllegalArgumentException("no leading slash: " + path);
        }
        Deque<String> segments = new ArrayDeque<>();
        for (String segment : path.substring(1).split("/", -1)) {
            switch (segment) {
                case "", "." -> {}
                case ".." -> segments.pollLast();
                default -> segments.addLast(segment);
            }
        }
        return "/" + String.join("/", segments);
    }

    @Override
    public String toString() {
        return value;
    }
}
