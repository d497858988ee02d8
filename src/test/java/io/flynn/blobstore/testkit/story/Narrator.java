package io.flynn.blobstore.testkit.story;

import java.io.PrintStream;
import java.time.Duration;
import java.util.Locale;

/** Tells the story to whoever looks: numbered steps with what they took, indented lines between them. Thread-safe. */
public final class Narrator {

    private static final String BOLD = "\u001b[1m";
    private static final String DIM = "\u001b[2m";
    private static final String PLAIN = "\u001b[0m";
    private static final int WIDTH = 72;

    private final PrintStream out;
    private final boolean isTerminal;
    private final long startedNanos = System.nanoTime();
    private int steps;

    public Narrator(PrintStream out, boolean isTerminal) {
        this.out = out;
        this.isTerminal = isTerminal;
    }

    /** Of a run that nobody looks at. */
    public static Narrator silent() {
        return new Narrator(new PrintStream(PrintStream.nullOutputStream()), false);
    }

    /** The next step begins; the time is that since the story began. */
    public synchronized void step(String title) {
        steps++;
        String head = "%d  %s".formatted(steps, title);
        String gap = " ".repeat(Math.max(1, WIDTH - head.length()));
        out.println();
        out.println(decorated(BOLD, head) + gap + decorated(DIM, "at " + seconds(sinceStart())));
    }

    public synchronized void line(String text) {
        out.println("   " + text);
        out.flush();
    }

    /** Something beside the story: what somebody else would see. */
    public synchronized void aside(String text) {
        out.println("   " + decorated(DIM, text));
        out.flush();
    }

    /** The last lines. */
    public synchronized void end(String text) {
        out.println(text);
        out.flush();
    }

    private String decorated(String how, String text) {
        return isTerminal ? how + text + PLAIN : text;
    }

    private Duration sinceStart() {
        return Duration.ofNanos(System.nanoTime() - startedNanos);
    }

    static String seconds(Duration duration) {
        return String.format(Locale.ROOT, "%.1f s", duration.toMillis() / 1000.0);
    }

    /** In KiB or MiB, as the author of the original posting told his. */
    static String size(long bytes) {
        return bytes < 1 << 20
                ? String.format(Locale.ROOT, "%.1f KiB", bytes / 1024.0)
                : String.format(Locale.ROOT, "%.1f MiB", bytes / 1024.0 / 1024.0);
    }
}
