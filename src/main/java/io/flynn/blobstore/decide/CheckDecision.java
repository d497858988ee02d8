package io.flynn.blobstore.decide;

import io.flynn.blobstore.blob.BlobContent;
import io.flynn.blobstore.blob.CheckedRow;
import io.flynn.blobstore.decide.CheckFinding.Kind;
import java.util.Optional;
import java.util.OptionalLong;

/** Whether a live row's bytes are there, as far as was looked. */
public final class CheckDecision {

    private CheckDecision() {}

    /**
     * By length alone.
     *
     * @param found bytes that lie where the row says; empty if nothing does
     * @return what is wrong; empty if nothing is
     */
    public static Optional<Kind> byLength(CheckedRow row, OptionalLong found) {
        if (!row.isWhole()) {
            return Optional.of(Kind.ROW_INCOMPLETE);
        }
        boolean isInPostgres = row.isInPostgres();
        if (found.isEmpty()) {
            return Optional.of(isInPostgres ? Kind.LARGE_OBJECT_MISSING : Kind.OBJECT_MISSING);
        }
        if (!found.equals(row.size())) {
            return Optional.of(isInPostgres ? Kind.LARGE_OBJECT_SIZE_DIFFERS : Kind.OBJECT_SIZE_DIFFERS);
        }
        return Optional.empty();
    }

    /** By every byte; a row without a digest can only be compared by length. */
    public static Optional<Kind> byContent(CheckedRow row, Optional<BlobContent> found) {
        Optional<Kind> wrong = byLength(
                row, found.map(content -> OptionalLong.of(content.size())).orElse(OptionalLong.empty()));
        if (wrong.isPresent()) {
            return wrong;
        }
        boolean isOther = row.sha512()
                .flatMap(recorded -> found.filter(content -> !content.sha512().equals(recorded)))
                .isPresent();
        return isOther
                ? Optional.of(row.isInPostgres() ? Kind.LARGE_OBJECT_BYTES_DIFFER : Kind.OBJECT_BYTES_DIFFER)
                : Optional.empty();
    }
}
