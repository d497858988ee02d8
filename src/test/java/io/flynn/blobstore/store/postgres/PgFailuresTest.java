package io.flynn.blobstore.store.postgres;

import static org.assertj.core.api.Assertions.assertThat;

import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.store.StorageFailure;
import java.sql.SQLException;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PgFailuresTest {

    @ParameterizedTest
    @CsvSource({
        // Others are in the way
        "53300, Busy, DatabaseBusy, max_connections",
        "40001, Busy, DatabaseBusy, ''",
        "40P01, Busy, DatabaseBusy, ''",
        "57014, Busy, DatabaseBusy, ''",
        "55P03, Busy, LockTimeout, ''",
        // It isn't the one that takes changes
        "25006, Busy, DatabaseReadOnly, PGHOST",
        // The connection is gone, or none can be made
        "25P03, Busy, DatabaseUnreachable, ''",
        "25P04, Busy, DatabaseUnreachable, ''",
        "57P05, Unreachable, DatabaseUnreachable, ''",
        "57P01, Unreachable, DatabaseUnreachable, ''",
        "57P03, Unreachable, DatabaseUnreachable, ''",
        "08001, Unreachable, DatabaseUnreachable, PGPORT",
        "08006, Unreachable, DatabaseUnreachable, ''",
        ", Unreachable, DatabaseUnreachable, ''",
        // No room
        "53100, Full, DatabaseFull, ''",
        "53200, Full, DatabaseFull, ''",
        // Not what is asked for
        "42P01, Missing, SchemaUnknown, ''",
        "42703, Missing, SchemaUnknown, ''",
        "42704, Missing, SourceMissing, ''",
        // It says no
        "28P01, Denied, DatabaseDenied, PGPASSWORD",
        "28000, Denied, DatabaseDenied, PGUSER",
        "3D000, Denied, DatabaseDenied, PGDATABASE",
        "42501, Denied, DatabaseDenied, ''",
        "XX000, Denied, DatabaseDenied, ''"
    })
    void whatPostgresqlSaysIsToldByKindAndReason(String state, String kind, String reason, String fix) {
        StorageFailure failure =
                PgFailures.translate("store a blob", new SQLException("it says\n  no", state, 0, null));

        assertThat(failure.getClass().getSimpleName()).isEqualTo(kind);
        assertThat(failure.reason()).isEqualTo(reason);
        assertThat(failure.getMessage())
                .startsWith("could not store a blob: it says; no")
                .contains(state == null ? "" : "(" + state + ")", fix);
        assertThat(Reasons.isTransient(reason))
                .as("whoever reads the reason alone is told the same")
                .isEqualTo(failure.isTransient());
    }
}
