package io.flynn.blobstore.app;

import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Whole numbers of a range: others would end in a wait that never ends, or in nothing being done. */
abstract class NumberConverter implements ITypeConverter<Integer> {

    private static final int MAX = 1_000;

    private final int min;

    private NumberConverter(int min) {
        this.min = min;
    }

    /** How many at once. */
    static final class AtLeastOne extends NumberConverter {
        AtLeastOne() {
            super(1);
        }
    }

    /** How often again. */
    static final class AtLeastZero extends NumberConverter {
        AtLeastZero() {
            super(0);
        }
    }

    @Override
    public Integer convert(String value) {
        if (value.matches("[0-9]{1,4}")) {
            int number = Integer.parseInt(value);
            if (number >= min && number <= MAX) {
                return number;
            }
        }
        throw new TypeConversionException(
                "\"%s\" can't be used: write a number from %d to %d".formatted(value, min, MAX));
    }
}
