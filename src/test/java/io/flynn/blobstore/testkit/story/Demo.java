package io.flynn.blobstore.testkit.story;

import io.flynn.blobstore.testkit.Folders;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CountDownLatch;

/** {@code ./demo}: the whole story on this machine, told to whoever looks. */
public final class Demo {

    static final long SEED = 20160624;

    private Demo() {}

    public static void main(String[] args) throws Exception {
        List<String> arguments = List.of(args);
        if (!arguments.isEmpty() && !arguments.equals(List.of("--keep"))) {
            System.err.println("usage: ./demo [--keep]");
            System.exit(2);
        }
        System.exit(tell(!arguments.isEmpty()) ? 0 : 1);
    }

    private static boolean tell(boolean isKept) throws Exception {
        Narrator narrator = new Narrator(
                System.out, System.console() != null && System.console().isTerminal());
        Path folder = Files.createTempDirectory("blobstore-demo-");
        boolean isWell = false;
        try (LocalWorld world = LocalWorld.start(folder)) {
            Runtime.getRuntime().addShutdownHook(new Thread(world::close));
            Outcome outcome = new Story(world, OldState.whole(SEED), narrator, folder, SEED).tell();
            outcome.summary().forEach(narrator::end);
            isWell = outcome.wrongFigures().isEmpty();
            if (isKept) {
                keep(world, narrator);
            }
        } finally {
            if (isWell) {
                Folders.delete(folder);
            } else {
                narrator.end("\nWhat the processes wrote is in " + folder);
            }
        }
        return isWell;
    }

    private static void keep(LocalWorld world, Narrator narrator) throws IOException, InterruptedException {
        narrator.end("");
        world.ways().forEach(narrator::end);
        narrator.end("Everything runs until Ctrl-C.");
        new CountDownLatch(1).await();
    }
}
