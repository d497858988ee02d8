package io.flynn.blobstore.testkit.cluster;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;

/** The requests that came over HTTP, and the failures that tests ordered for some of them. Thread-safe. */
public final class ApiCalls {

    /** Cuts the connection instead of an answer: the client can't know whether it was done. */
    public static final int CUT = 0;

    private record Fault(Predicate<ApiCall> which, int code, boolean after) {}

    private final List<ApiCall> calls = new ArrayList<>();
    private final List<Fault> faults = new ArrayList<>();

    ApiCalls() {}

    public synchronized List<ApiCall> all() {
        return List.copyOf(calls);
    }

    public synchronized List<ApiCall> matching(Predicate<ApiCall> which) {
        return calls.stream().filter(which).toList();
    }

    public synchronized void clear() {
        calls.clear();
    }

    /**
     * The next {@code count} requests like that are answered with {@code code} and not carried out.
     *
     * @param code an HTTP status, or {@link #CUT}
     */
    public synchronized void failNext(int count, int code, Predicate<ApiCall> which) {
        for (int i = 0; i < count; i++) {
            faults.add(new Fault(which, code, false));
        }
    }

    /** The next request like that is carried out, then its connection is cut. */
    public synchronized void loseNextAnswer(Predicate<ApiCall> which) {
        faults.add(new Fault(which, CUT, true));
    }

    /** What must happen to {@code call}: nothing, or a failure before or after it is carried out. */
    synchronized Verdict verdict(ApiCall call) {
        for (Fault fault : faults) {
            if (fault.which().test(call)) {
                faults.remove(fault);
                return new Verdict(true, fault.code(), fault.after());
            }
        }
        return new Verdict(false, CUT, false);
    }

    record Verdict(boolean fails, int code, boolean after) {}

    synchronized void record(ApiCall call) {
        calls.add(call);
    }
}
