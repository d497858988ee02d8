package io.flynn.blobstore.store.postgres;

import io.flynn.blobstore.store.StorageFailure;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.util.Collection;
import java.util.HashMap;
import java.util.Map;
import java.util.UUID;

/** What people know blobs by. Thread-safe; blocks and throws {@link StorageFailure}. */
public final class BlobNames {

    private static final String NAMES = "SELECT file_id, name, coalesce(size, 0) FROM files WHERE file_id = ANY (?)";

    private final Database database;

    public BlobNames(Database database) {
        this.database = database;
    }

    /** @param name user data */
    public record Named(String name, long sizeBytes) {}

    /** By their rows' ids, as far as there are such rows. */
    public Map<UUID, Named> of(Collection<UUID> ids) {
        return database.with("look for names", connection -> {
            Map<UUID, Named> names = new HashMap<>();
            try (PreparedStatement statement = connection.prepareStatement(NAMES)) {
                statement.setArray(1, connection.createArrayOf("uuid", ids.toArray(UUID[]::new)));
                try (ResultSet rows = statement.executeQuery()) {
                    while (rows.next()) {
                        names.put(rows.getObject(1, UUID.class), new Named(rows.getString(2), rows.getLong(3)));
                    }
                }
            }
            return names;
        });
    }
}
