package io.flynn.blobstore.conformance;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.NavigableMap;
import java.util.Optional;
import java.util.TreeMap;
import java.util.TreeSet;

/** A blobstore in memory: what the protocol says and nothing else. Names are clean already. */
final class Model {

    /** @param type as uploaded; empty if there was none */
    record Blob(byte[] bytes, String type) {}

    private static final Comparator<String> BY_BYTES = (one, other) ->
            Arrays.compareUnsigned(one.getBytes(StandardCharsets.UTF_8), other.getBytes(StandardCharsets.UTF_8));

    private final NavigableMap<String, Blob> blobs = new TreeMap<>(BY_BYTES);

    Optional<Blob> get(String name) {
        return Optional.ofNullable(blobs.get(name));
    }

    List<String> names() {
        return List.copyOf(blobs.keySet());
    }

    void put(String name, byte[] bytes, String type) {
        blobs.put(name, new Blob(bytes, type));
    }

    void append(String name, byte[] more) {
        Blob old = blobs.get(name);
        ByteArrayOutputStream whole = new ByteArrayOutputStream();
        whole.writeBytes(old.bytes());
        whole.writeBytes(more);
        blobs.put(name, new Blob(whole.toByteArray(), old.type()));
    }

    void delete(String name) {
        blobs.keySet().removeIf(other -> other.equals(name) || other.startsWith(name + "/"));
    }

    List<String> children(String directory) {
        TreeSet<String> children = new TreeSet<>(BY_BYTES);
        String prefix = directory + "/";
        for (String name : blobs.keySet()) {
            if (name.startsWith(prefix)) {
                int slash = name.indexOf('/', prefix.length());
                children.add(slash < 0 ? name : name.substring(0, slash + 1));
            }
        }
        return List.copyOf(children);
    }
}
