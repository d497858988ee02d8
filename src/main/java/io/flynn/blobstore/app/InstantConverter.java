package io.flynn.blobstore.app;

import java.time.Instant;
import java.time.OffsetDateTime;
import java.time.format.DateTimeParseException;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Points in time as the custom resources have them (RFC 3339): {@code 2026-03-01T00:00:00Z}. */
final class InstantConverter implements ITypeConverter<Instant> {

    @Override
    public Instant convert(String value) {
        try {
            return OffsetDateTime.parse(value).toInstant();
        } catch (DateTimeParseException e) {
            throw new TypeConversionException("\"" + value
                    + "\" is no point in time: write 2026-03-01T00:00:00Z, or with an offset as in +02:00");
        }
    }
}
