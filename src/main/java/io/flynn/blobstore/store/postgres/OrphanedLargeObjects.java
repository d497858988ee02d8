package io.flynn.blobstore.store.postgres;

import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.store.StorageFailure;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;

/** Unlinks large objects that no row names. Thread-safe; blocks and throws {@link StorageFailure}. */
public final class OrphanedLargeObjects {

    /** As {@code vacuumlo} looks for them: in the columns that can hold a large object's number, of tables that people make. */
    private static final String OTHERS = """
            SELECT n.nspname || '.' || c.relname || '.' || a.attname
            FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
                JOIN pg_type t ON t.oid = a.atttypid
            WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'm', 'f')
                AND (t.typname IN ('oid', 'lo') OR t.typbasetype = 'oid'::regtype)
                AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
                AND c.oid <> 'files'::regclass
            ORDER BY 1 LIMIT 1""";

    private static final String UNLINK = """
            SELECT o.oid, lo_unlink(o.oid) FROM (
                SELECT m.oid FROM pg_largeobject_metadata m
                WHERE m.oid = ANY (CAST(? AS oid[])) AND NOT EXISTS (SELECT FROM files f WHERE f.file_oid = m.oid)
                OFFSET 0) o""";

    /** As long as the clean stage waits for its own. */
    private static final Duration PATIENCE = Duration.ofHours(2);

    private final Database database;

    public OrphanedLargeObjects(Database database) {
        this.database = database;
    }

    /**
     * Throws unless {@code files} is the only table whose rows may name large objects: what others name is not ours to judge.
     *
     * @throws StorageFailure.Denied if there is another; the message names it
     */
    public void requireNoOtherNamesThem() {
        database.with("look for other tables that name large objects", connection -> {
            try (PreparedStatement statement = connection.prepareStatement(OTHERS);
                    ResultSet columns = statement.executeQuery()) {
                if (columns.next()) {
                    throw new StorageFailure.Denied(
                            Reasons.SCHEMA_UNKNOWN,
                            "column %s may name large objects, too: leave out --delete-large-objects, and use vacuumlo"
                                    .formatted(columns.getString(1)),
                            null);
                }
            }
            return database;
        });
    }

    /**
     * Unlinks those of {@code oids} that no row names now, in one transaction.
     *
     * @param oids at most 500: each takes a lock
     * @return those that were unlinked
     */
    public List<Long> unlink(Collection<Long> oids) {
        return database.inTransaction("unlink large objects that no row names", PATIENCE, connection -> {
            List<Long> unlinked = new ArrayList<>();
            try (PreparedStatement statement = connection.prepareStatement(UNLINK)) {
                statement.setArray(1, connection.createArrayOf("int8", oids.toArray(Long[]::new)));
                try (ResultSet rows = statement.executeQuery()) {
                    while (rows.next()) {
                        unlinked.add(rows.getLong(1));
                    }
                }
            }
            return unlinked;
        });
    }
}
