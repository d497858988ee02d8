package io.flynn.blobstore.blob;

import java.time.Instant;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;

/**
 * Which blobs are meant, by their rows. All conditions hold at once.
 *
 * @param prefix what the name begins with, byte for byte: no pattern, and case and the forms of accented letters count. Names begin
 *     with a slash, so another prefix means no blob; empty = every name
 * @param minSize in bytes, included; 0 = every size, also rows that have none
 * @param maxSize in bytes, included; {@link Long#MAX_VALUE} = every size
 * @param updatedBefore last changed before; empty = whenever
 * @param ids only these; empty = any
 */
public record BlobFilter(
        String prefix, long minSize, long maxSize, Optional<Instant> updatedBefore, Optional<Set<UUID>> ids) {

    /** Every blob. */
    public static final BlobFilter ALL = new BlobFilter("", 0, Long.MAX_VALUE, Optional.empty());

    /** @throws IllegalArgumentException if no blob can be meant, or the database can't hold the prefix */
    public BlobFilter {
        ids = ids.map(Set::copyOf);
        if (prefix.indexOf('\0') >= 0) {
            throw new IllegalArgumentException("the prefix has a NUL character, which no name can have");
        }
        if (minSize < 0) {
            throw new IllegalArgumentException("the minimum size is negative: " + minSize);
        }
        if (maxSize < minSize) {
            throw new IllegalArgumentException(
                    "the maximum size, %d, is less than the minimum size, %d".formatted(maxSize, minSize));
        }
    }

    public BlobFilter(String prefix, long minSize, long maxSize, Optional<Instant> updatedBefore) {
        this(prefix, minSize, maxSize, updatedBefore, Optional.empty());
    }

    /** Of these only those whose rows have one of these ids. */
    public BlobFilter only(Set<UUID> some) {
        return new BlobFilter(prefix, minSize, maxSize, updatedBefore, Optional.of(some));
    }

    public boolean isAll() {
        return equals(ALL);
    }

    /** For people, and for a plan's identity: empty if every blob is meant. */
    @Override
    public String toString() {
        StringBuilder text = new StringBuilder();
        if (!prefix.isEmpty()) {
            text.append(" prefix=").append(prefix);
        }
        if (minSize > 0) {
            text.append(" minSize=").append(minSize);
        }
        if (maxSize < Long.MAX_VALUE) {
            text.append(" maxSize=").append(maxSize);
        }
        ids.ifPresent(some -> text.append(" only ").append(some.size()).append(" blobs"));
        updatedBefore.ifPresent(instant -> text.append(" updatedBefore=").append(instant));
        return text.toString().strip();
    }
}
