package io.flynn.blobstore.blob;

import java.util.regex.Pattern;

/**
 * Which blobstore installation this is: what no restored copy and no clone of it shares. Buckets are marked with it, so it is no
 * secret, and never changes while a bucket is in use.
 *
 * @param name 1 to 253 letters, digits and {@code . _ : / -}, the first of them a letter or a digit
 */
public record Installation(String name) {

    private static final Pattern NAME = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._:/-]{0,252}");

    public Installation {
        if (!isName(name)) {
            throw new IllegalArgumentException(
                    "\"%s\" names no installation: write up to 253 letters, digits and . _ : / - that begin with a letter or a digit"
                            .formatted(name));
        }
    }

    public static boolean isName(String text) {
        return NAME.matcher(text).matches();
    }

    @Override
    public String toString() {
        return name;
    }
}
