package io.flynn.blobstore.move;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.flynn.blobstore.blob.ObjectKey;
import io.flynn.blobstore.store.BucketListing.StoredObject;
import io.flynn.blobstore.store.StorageFailure;
import io.flynn.blobstore.store.postgres.CheckedRows.KeyedRow;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.UUID;
import org.junit.jupiter.api.Test;

class BucketJoinTest {

    private static final String LOW = "00000000-0000-4000-8000-000000000001";
    private static final String MIDDLE = "7fffffff-0000-4000-8000-000000000001";
    private static final String HIGH = "ffffffff-0000-4000-8000-000000000001";

    private final List<String> seen = new ArrayList<>();

    @Test
    void rowsAndObjectsAreBroughtTogetherByKey() {
        join(List.of(row(LOW), row(HIGH)), LOW, MIDDLE);

        assertThat(seen).containsExactly("1 rows and " + LOW, "object " + MIDDLE, "rows " + HIGH);
    }

    @Test
    void allRowsOfAKeyComeTogether() {
        join(List.of(row(LOW), row(LOW), row(MIDDLE), row(MIDDLE)), MIDDLE);

        assertThat(seen).containsExactly("rows " + LOW + "," + LOW, "2 rows and " + MIDDLE);
    }

    @Test
    void rowsWithoutAKeyStandAlone() {
        join(List.of(row(null), row(null), row(LOW)), LOW);

        assertThat(seen).containsExactly("rows none", "rows none", "1 rows and " + LOW);
    }

    @Test
    void foreignKeysMayComeInAnyOrder() {
        join(List.of(row(LOW), row(HIGH)), "z", LOW, "a", HIGH.toUpperCase(Locale.ROOT), HIGH);

        assertThat(seen)
                .containsExactly(
                        "foreign z",
                        "1 rows and " + LOW,
                        "foreign a",
                        "foreign FFFFFFFF-0000-4000-8000-000000000001",
                        "1 rows and " + HIGH);
    }

    @Test
    void anotherOrderThanThatOfTheBytesIsSaid() {
        assertThatThrownBy(() -> join(List.of(row(LOW)), MIDDLE, LOW))
                .isInstanceOf(StorageFailure.Denied.class)
                .hasMessageContaining("another order")
                .hasMessageContaining(MIDDLE);
    }

    private static KeyedRow row(String key) {
        return new KeyedRow(
                Optional.ofNullable(key).map(UUID::fromString).map(ObjectKey::new),
                new UUID(0, 1),
                OptionalLong.of(1),
                true);
    }

    private void join(List<KeyedRow> rows, String... keys) {
        BucketJoin.join(
                rows.iterator(),
                List.of(keys).stream().map(key -> new StoredObject(key, 1)).iterator(),
                new BucketJoin.Pairs() {
                    @Override
                    public void onlyRows(List<KeyedRow> rows) {
                        seen.add("rows "
                                + String.join(
                                        ",",
                                        rows.stream()
                                                .map(row -> row.key()
                                                        .map(Object::toString)
                                                        .orElse("none"))
                                                .toList()));
                    }

                    @Override
                    public void both(List<KeyedRow> rows, StoredObject object) {
                        seen.add(rows.size() + " rows and " + object.key());
                    }

                    @Override
                    public void onlyObject(StoredObject object) {
                        seen.add("object " + object.key());
                    }

                    @Override
                    public void foreign(StoredObject object) {
                        seen.add("foreign " + object.key());
                    }
                });
    }
}
