package io.flynn.blobstore.bench;

import java.net.URI;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;

/** Where a program under test finds the database and the bucket, as its first arguments say. */
record Place(String jdbcUrl, URI store, String bucket, String accessKeyId, String secretAccessKey) {

    static final int ARGUMENTS = 5;

    static Place of(String[] arguments) {
        return new Place(arguments[0], URI.create(arguments[1]), arguments[2], arguments[3], arguments[4]);
    }

    String[] arguments() {
        return new String[] {jdbcUrl, store.toString(), bucket, accessKeyId, secretAccessKey};
    }

    Connection connect() throws SQLException {
        return DriverManager.getConnection(jdbcUrl, "postgres", "");
    }
}
