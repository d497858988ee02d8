package io.flynn.blobstore.app;

import io.flynn.blobstore.blob.Installation;
import io.flynn.blobstore.decide.BackendSettings;
import io.flynn.blobstore.decide.InvalidSettingException;
import io.flynn.blobstore.store.BucketOwnership;
import io.flynn.blobstore.store.postgres.Database;
import io.flynn.blobstore.store.postgres.Inventory;
import io.flynn.blobstore.store.s3.S3BucketOwnership;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;
import picocli.CommandLine.Option;

/** Says which installation this is, and whose buckets it may take over. */
final class Ownerships {

    /** Set by the operator in its pods, from what a clone in another namespace doesn't share. */
    static final String VARIABLE = "BLOBSTORE_INSTALLATION";

    private static final String ADOPT = "--adopt-bucket";

    private Ownerships() {}

    /** For every command that writes into a bucket. */
    static final class Adoption {
        /** Checked later than the command line is, so that what is wrong with it gets into a stage's report. */
        @Option(
                names = ADOPT,
                paramLabel = "INSTALLATION",
                description =
                        "Take the bucket over from this installation, which the bucket's mark names. Only if that one"
                                + " is no more.")
        String adopted = "";
    }

    /** @throws InvalidSettingException if {@code adopted}, or what the environment says, names no installation */
    static BucketOwnership of(
            BackendSettings backend, Map<String, String> environment, Database database, String adopted) {
        return new S3BucketOwnership(backend, installation(environment, database), named(ADOPT, adopted));
    }

    /**
     * A physical copy of a PostgreSQL cluster, as by {@code pg_basebackup}, has the original's identifier: where such copies run,
     * they are to be given names.
     */
    private static Supplier<Installation> installation(Map<String, String> environment, Database database) {
        Optional<Installation> given = named(VARIABLE, environment.getOrDefault(VARIABLE, ""));
        return given.<Supplier<Installation>>map(installation -> () -> installation)
                .orElseGet(() -> () -> new Installation("postgresql/" + new Inventory(database).identity()));
    }

    private static Optional<Installation> named(String setting, String text) {
        if (text.isEmpty()) {
            return Optional.empty();
        }
        try {
            return Optional.of(new Installation(text));
        } catch (IllegalArgumentException e) {
            throw new InvalidSettingException(setting, "can't be used: " + e.getMessage());
        }
    }
}
