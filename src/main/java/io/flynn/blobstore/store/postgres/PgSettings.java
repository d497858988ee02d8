package io.flynn.blobstore.store.postgres;

import io.flynn.blobstore.blob.Secret;
import io.flynn.blobstore.decide.InvalidSettingException;
import io.flynn.blobstore.decide.Reasons;
import java.util.Map;

/**
 * Where the database is, by libpq's variables (PostgreSQL manual, 32.15 "Environment Variables").
 *
 * @param sslMode as libpq's {@code sslmode}; {@code prefer} if unset
 */
public record PgSettings(String host, int port, String user, Secret password, String database, String sslMode) {

    /** @throws InvalidSettingException if a variable that is needed is missing or wrong; it names the variable */
    public static PgSettings decode(Map<String, String> environment) {
        return new PgSettings(
                required(environment, "PGHOST"),
                port(environment),
                required(environment, "PGUSER"),
                new Secret(environment.getOrDefault("PGPASSWORD", "")),
                required(environment, "PGDATABASE"),
                environment.getOrDefault("PGSSLMODE", "prefer"));
    }

    private static String required(Map<String, String> environment, String variable) {
        String value = environment.getOrDefault(variable, "");
        if (value.isEmpty()) {
            throw new InvalidSettingException(
                    variable,
                    "is not set in the container's environment; what an entrypoint script exports or a sidecar provides"
                            + " can't be seen here: set it in the Deployment",
                    Reasons.ENVIRONMENT_INCOMPLETE);
        }
        return value;
    }

    private static int port(Map<String, String> environment) {
        String value = environment.getOrDefault("PGPORT", "");
        if (value.isEmpty()) {
            return 5432;
        }
        try {
            int port = Integer.parseInt(value);
            if (port > 0 && port < 65536) {
                return port;
            }
        } catch (NumberFormatException e) {
            throw new InvalidSettingException("PGPORT", "is no number: " + value, Reasons.ENVIRONMENT_INCOMPLETE);
        }
        throw new InvalidSettingException("PGPORT", "is no port: " + value, Reasons.ENVIRONMENT_INCOMPLETE);
    }
}
