package io.flynn.blobstore.app;

import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Numbers of bytes as the custom resources have them: {@code 1048576}, {@code 512Ki}, {@code 1Gi}. */
final class SizeConverter implements ITypeConverter<Long> {

    private static final Pattern FORM = Pattern.compile("([0-9]{1,15})(|Ki|Mi|Gi|Ti)");

    @Override
    public Long convert(String value) {
        Matcher form = FORM.matcher(value);
        if (!form.matches()) {
            throw refused(value);
        }
        int exponent = List.of("", "Ki", "Mi", "Gi", "Ti").indexOf(form.group(2));
        try {
            return Math.multiplyExact(Long.parseLong(form.group(1)), 1L << (10 * exponent));
        } catch (ArithmeticException e) {
            throw refused(value);
        }
    }

    private static TypeConversionException refused(String value) {
        return new TypeConversionException(
                "\"" + value + "\" is no size: write a number of bytes, or one with Ki, Mi, Gi or Ti, as in 512Ki");
    }
}
