package io.flynn.blobstore.store.s3;

import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.Supplier;

/** A value made when it is first asked for; a failure to make it is not remembered. Thread-safe; blocks while it is made. */
final class Lazily<T> {

    private final Supplier<T> make;
    private volatile Optional<T> made = Optional.empty();

    Lazily(Supplier<T> make) {
        this.make = make;
    }

    T get() {
        Optional<T> present = made;
        if (present.isPresent()) {
            return present.get();
        }
        synchronized (this) {
            if (made.isEmpty()) {
                made = Optional.of(make.get());
            }
            return made.get();
        }
    }

    void ifThere(Consumer<T> action) {
        made.ifPresent(action);
    }
}
