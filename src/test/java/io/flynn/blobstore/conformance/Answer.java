package io.flynn.blobstore.conformance;

import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What a server answered.
 *
 * @param headers as they came, in their order; a byte of a value is a character
 */
record Answer(int status, List<Map.Entry<String, String>> headers, byte[] body) {

    Answer {
        headers = List.copyOf(headers);
    }

    /** The first one of that name. */
    Optional<String> header(String name) {
        return headers.stream()
                .filter(header -> header.getKey().equalsIgnoreCase(name))
                .map(Map.Entry::getValue)
                .findFirst();
    }

    String required(String name) {
        return header(name).orElseThrow(() -> new AssertionError("no " + name + " in " + this));
    }

    String text() {
        return new String(body, StandardCharsets.UTF_8);
    }

    boolean isRedirect() {
        return status == 302;
    }

    @Override
    public String toString() {
        String start = new String(body, 0, Math.min(body.length, 200), StandardCharsets.UTF_8);
        return "%d %s %d bytes: %s".formatted(status, headers, body.length, start);
    }
}
