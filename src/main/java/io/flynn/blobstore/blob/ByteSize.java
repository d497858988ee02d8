package io.flynn.blobstore.blob;

import java.util.Locale;

/** A number of bytes, printed for people. */
public record ByteSize(long bytes) {

    private static final String[] UNITS = {"", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};

    /** As in Kubernetes' columns: {@code 512}, {@code 21.4Ki}, {@code 75.0Gi}. */
    public String display() {
        double value = bytes;
        int unit = 0;
        while (Math.abs(value) >= 1024 && unit < UNITS.length - 1) {
            value /= 1024;
            unit++;
        }
        return unit == 0 ? Long.toString(bytes) : String.format(Locale.ROOT, "%.1f%s", value, UNITS[unit]);
    }

    @Override
    public String toString() {
        return display();
    }
}
