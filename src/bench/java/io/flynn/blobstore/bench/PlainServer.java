package io.flynn.blobstore.bench;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.io.Content;
import org.eclipse.jetty.server.Handler;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.util.Callback;
import org.eclipse.jetty.util.thread.QueuedThreadPool;
import org.postgresql.PGConnection;
import org.postgresql.largeobject.LargeObject;
import org.postgresql.largeobject.LargeObjectManager;

/**
 * The baseline: what one writes first. The driver's large object streams in one transaction, as the old program had them, and a
 * thread for each request. Serves GET and PUT of the same table. Arguments: port, JDBC URL, user.
 */
final class PlainServer extends Handler.Abstract {

    /** What Go's io.Copy, and so the old program, reads at once. */
    private static final int COPY_BYTES = 32 * 1024;

    private final HikariDataSource pool;

    private PlainServer(HikariDataSource pool) {
        this.pool = pool;
    }

    public static void main(String[] arguments) throws Exception {
        HikariConfig config = new HikariConfig();
        config.setJdbcUrl(arguments[1]);
        config.setUsername(arguments[2]);
        config.setMaximumPoolSize(80);
        config.setMinimumIdle(0);
        config.setAutoCommit(false);
        Server server = new Server(new QueuedThreadPool(200));
        ServerConnector connector = new ServerConnector(server);
        connector.setPort(Integer.parseInt(arguments[0]));
        server.addConnector(connector);
        server.setHandler(new PlainServer(new HikariDataSource(config)));
        server.start();
        server.join();
    }

    @Override
    public boolean handle(Request request, Response response, Callback callback) throws Exception {
        String name = Request.getPathInContext(request);
        try (Connection connection = pool.getConnection()) {
            if (request.getMethod().equals("GET")) {
                get(connection, name, response);
            } else {
                put(connection, name, request);
            }
            connection.commit();
        }
        callback.succeeded();
        return true;
    }

    private static void get(Connection connection, String name, Response response) throws SQLException, IOException {
        try (PreparedStatement find =
                connection.prepareStatement("SELECT file_oid, size FROM files WHERE name = ? AND deleted_at IS NULL")) {
            find.setString(1, name);
            try (ResultSet row = find.executeQuery()) {
                if (!row.next()) {
                    response.setStatus(404);
                    return;
                }
                response.getHeaders().put(HttpHeader.CONTENT_LENGTH, row.getLong(2));
                LargeObject object = connection
                        .unwrap(PGConnection.class)
                        .getLargeObjectAPI()
                        .open(row.getLong(1), LargeObjectManager.READ);
                try (InputStream in = object.getInputStream(COPY_BYTES, Long.MAX_VALUE);
                        OutputStream out = Content.Sink.asOutputStream(response)) {
                    in.transferTo(out);
                }
            }
        }
    }

    private static void put(Connection connection, String name, Request request) throws SQLException, IOException {
        LargeObjectManager objects = connection.unwrap(PGConnection.class).getLargeObjectAPI();
        try (PreparedStatement retire = connection.prepareStatement(
                        "UPDATE files SET deleted_at = now() WHERE name = ? AND deleted_at IS NULL");
                PreparedStatement insert = connection.prepareStatement(
                        "INSERT INTO files (file_oid, backend, name, type, size, sha512) VALUES (?, 'postgres', ?, '', ?, ?)")) {
            retire.setString(1, name);
            retire.executeUpdate();
            long oid = objects.createLO(LargeObjectManager.READWRITE);
            LargeObject object = objects.open(oid, LargeObjectManager.WRITE);
            DigestInputStream body = new DigestInputStream(Request.asInputStream(request), sha512());
            long size = 0;
            byte[] buffer = new byte[COPY_BYTES];
            for (int read = body.read(buffer); read >= 0; read = body.read(buffer)) {
                object.write(buffer, 0, read);
                size += read;
            }
            object.close();
            insert.setLong(1, oid);
            insert.setString(2, name);
            insert.setLong(3, size);
            insert.setBytes(4, body.getMessageDigest().digest());
            insert.executeUpdate();
        }
    }

    private static MessageDigest sha512() {
        try {
            return MessageDigest.getInstance("SHA-512");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }
}
