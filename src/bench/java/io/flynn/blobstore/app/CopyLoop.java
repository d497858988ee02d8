package io.flynn.blobstore.app;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;

/** The program's own command, once for every line it is told, in one process: what a long migration is after its first seconds. */
public final class CopyLoop {

    private CopyLoop() {}

    public static void main(String[] arguments) throws Exception {
        BufferedReader orders = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        while (orders.readLine() != null) {
            int code = Main.execute(arguments);
            if (code != 0) {
                System.exit(code);
            }
            System.out.println("done");
        }
        System.exit(0);
    }
}
