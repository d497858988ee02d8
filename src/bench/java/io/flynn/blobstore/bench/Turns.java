package io.flynn.blobstore.bench;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;

/** A program that does its work once for every line it is told, and says so: a warm one is told more than one. */
final class Turns {

    static final String DONE = "done";

    private Turns() {}

    interface Work {
        void run() throws Exception;
    }

    static void take(Work work) throws Exception {
        BufferedReader orders = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        try {
            while (orders.readLine() != null) {
                work.run();
                System.out.println(DONE);
                System.out.flush();
            }
        } catch (IOException e) {
            throw new IllegalStateException("nobody tells what to do", e);
        }
        System.exit(0);
    }
}
