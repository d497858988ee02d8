package io.flynn.blobstore.conformance;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

/**
 * A few dozen names, of which some lie below others, and which together hold every byte that a name can have: every byte that
 * is part of UTF-8 but U+0000.
 */
final class HostileNames {

    private static final int LETTERS_PER_NAME = 8;

    /** What has a meaning to somebody, somewhere. */
    private static final List<String> MEANINGFUL = List.of(
            "a.b", "aXb", "a_b", "a%b", "%", "_", ".*", "*", "foo+bar", "(x", "%2e%2e", "...", " ", "a b", "é",
            "e\u0301");

    private HostileNames() {}

    static List<String> below(String folder, SplittableRandom random) {
        List<String> segments = new ArrayList<>(MEANINGFUL);
        List<Integer> letters = shuffled(letters(), random);
        for (int from = 0; from < letters.size(); from += LETTERS_PER_NAME) {
            StringBuilder segment = new StringBuilder();
            letters.subList(from, Math.min(from + LETTERS_PER_NAME, letters.size()))
                    .forEach(segment::appendCodePoint);
            segments.add(segment.toString());
        }
        List<String> names = new ArrayList<>();
        for (String segment : shuffled(segments, random)) {
            boolean isBelowAnother = !names.isEmpty() && random.nextInt(3) == 0;
            String parent = isBelowAnother ? names.get(random.nextInt(names.size())) : folder;
            names.add(parent + "/" + segment);
        }
        return names;
    }

    /** ASCII whole; Latin-1, which has every continuation byte; and a letter for every first byte of the longer sequences. */
    private static List<Integer> letters() {
        List<Integer> letters = new ArrayList<>();
        for (int letter = 1; letter <= 0xFF; letter++) {
            if (letter != '/') {
                letters.add(letter);
            }
        }
        for (int letter = 0x100; letter < 0x800; letter += 0x40) {
            letters.add(letter);
        }
        for (int letter = 0x800; letter < 0x1_0000; letter += 0x1000) {
            // Not a surrogate: those are no characters.
            letters.add(letter == 0xD800 ? 0xD7FF : letter);
        }
        for (int letter = 0x1_0000; letter <= 0x10_FFFF; letter += 0x4_0000) {
            letters.add(letter);
        }
        return letters;
    }

    private static <T> List<T> shuffled(List<T> list, SplittableRandom random) {
        List<T> shuffled = new ArrayList<>(list);
        for (int i = shuffled.size() - 1; i > 0; i--) {
            T last = shuffled.get(i);
            int other = random.nextInt(i + 1);
            shuffled.set(i, shuffled.get(other));
            shuffled.set(other, last);
        }
        return shuffled;
    }

    /** As a failure shows it: ASCII alone. */
    static String shown(String name) {
        StringBuilder shown = new StringBuilder();
        for (byte b : name.getBytes(StandardCharsets.UTF_8)) {
            shown.append(b > ' ' && b < 0x7F ? String.valueOf((char) b) : "\\x%02x".formatted(b));
        }
        return shown.toString();
    }
}
