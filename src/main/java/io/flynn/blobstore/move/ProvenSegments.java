package io.flynn.blobstore.move;

import io.flynn.blobstore.blob.Digest;
import io.flynn.blobstore.store.Note;
import io.flynn.blobstore.store.StorageFailure;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.time.format.DateTimeParseException;
import java.time.temporal.ChronoUnit;
import java.util.Iterator;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What a verification has proven, for the one that goes on after it was interrupted: kept in memory, and from time to time in a note
 * in the bucket. A note is only believed about the same scope in the same place, for a week, and of rows that are exactly as they were.
 * Notes are a saving, no more: one that can't be read or written is done without.
 *
 * <p>{@link #add} is thread-safe; the other methods are for one thread.
 */
final class ProvenSegments {

    private static final Logger LOG = LoggerFactory.getLogger(ProvenSegments.class);

    /** What is proven again after an interruption: no more than this, and what was in flight. */
    static final Duration NOTE_EVERY = Duration.ofSeconds(30);

    /** Objects rot, and are deleted: what completes a migration was read not long ago. */
    static final Duration BELIEVED_FOR = Duration.ofDays(7);

    private static final String FORMAT = "blobstore-verification 1";
    private static final Pattern LINE = Pattern.compile("([0-9a-f]{3}) ([0-9a-f]{32})");

    private final Optional<Note> note;
    private final String scope;
    private final InstantSource clock;
    private final Map<Integer, String> proven = new ConcurrentSkipListMap<>();
    private Instant begun;
    private Instant noted;
    private boolean isRecalled;
    private boolean isNoteThere;

    /** Knows nothing yet. */
    ProvenSegments(Optional<Note> note, Route route, InstantSource clock) {
        this.note = note;
        this.clock = clock;
        scope = note.map(where -> scope(route + " in " + where.place())).orElse("");
        begun = now();
        noted = begun;
    }

    /** Reads the note, the first time that it is called: who goes on in the same process remembers more. */
    void recall() {
        if (!isRecalled) {
            isRecalled = true;
            quietly("read", () -> note.flatMap(Note::read).ifPresent(this::recall));
        }
    }

    /** When the oldest of the proofs was begun. */
    Instant begun() {
        return begun;
    }

    boolean has(Segment segment) {
        return segment.digest().equals(proven.get(segment.index()));
    }

    void add(Segment segment) {
        proven.put(segment.index(), segment.digest());
    }

    /** Writes the note if that is due. */
    void noteFromTimeToTime() {
        if (Duration.between(noted, clock.instant()).compareTo(NOTE_EVERY) >= 0) {
            note();
        }
    }

    /** Writes the note, if there is anything that is worth the while. */
    void note() {
        noted = clock.instant();
        if (!proven.isEmpty() && Duration.between(begun, noted).compareTo(NOTE_EVERY) >= 0) {
            quietly(
                    "written",
                    () -> note.ifPresent(where -> {
                        isNoteThere = true;
                        where.write(text());
                    }));
        }
    }

    /** A verification that has come to its end proves all anew the next time. */
    void forget() {
        proven.clear();
        begun = now();
        if (isNoteThere) {
            quietly("deleted", () -> note.ifPresent(Note::erase));
            isNoteThere = false;
        }
    }

    private Instant now() {
        return clock.instant().truncatedTo(ChronoUnit.SECONDS);
    }

    private String text() {
        StringBuilder text = new StringBuilder("%s\n%s\n%s\n".formatted(FORMAT, scope, begun));
        proven.forEach((index, digest) -> text.append("%03x %s\n".formatted(index, digest)));
        return text.toString();
    }

    private void recall(String text) {
        isNoteThere = true;
        Iterator<String> lines = text.lines().iterator();
        if (!isNext(lines, FORMAT) || !isNext(lines, scope) || !lines.hasNext()) {
            return;
        }
        Optional<Instant> since = instant(lines.next());
        if (since.filter(this::isBelieved).isEmpty()) {
            return;
        }
        while (lines.hasNext()) {
            Matcher line = LINE.matcher(lines.next());
            if (line.matches()) {
                proven.put(Integer.parseInt(line.group(1), 16), line.group(2));
            }
        }
        begun = since.get();
    }

    private boolean isBelieved(Instant since) {
        return !since.isAfter(clock.instant()) && since.plus(BELIEVED_FOR).isAfter(clock.instant());
    }

    private static boolean isNext(Iterator<String> lines, String expected) {
        return lines.hasNext() && lines.next().equals(expected);
    }

    private static Optional<Instant> instant(String text) {
        try {
            return Optional.of(Instant.parse(text));
        } catch (DateTimeParseException e) {
            return Optional.empty();
        }
    }

    private static String scope(String text) {
        Digest digest = new Digest();
        digest.update(ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8)));
        return digest.finish().sha512().toString();
    }

    private static void quietly(String done, Runnable work) {
        try {
            work.run();
        } catch (StorageFailure e) {
            LOG.warn("the note of what is proven can't be {}: {}", done, e.getMessage());
        }
    }
}
