package io.flynn.blobstore.app;

import java.util.concurrent.ExecutorService;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/** An executor on virtual threads that runs only so many tasks at once; the rest waits. */
final class BoundedVirtualThreads {

    private BoundedVirtualThreads() {}

    /** The queue needs no bound of its own: a resource that waits for its turn is in it once. */
    static ExecutorService of(int threads) {
        ThreadPoolExecutor executor = new ThreadPoolExecutor(
                threads,
                threads,
                1,
                TimeUnit.MINUTES,
                new LinkedBlockingQueue<>(),
                Thread.ofVirtual().name("reconcile-", 0).factory());
        executor.allowCoreThreadTimeOut(true);
        return executor;
    }
}
