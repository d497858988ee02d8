package io.flynn.blobstore.app;

import io.flynn.blobstore.decide.Verification;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** ReadBack or StoreChecksum. */
final class VerificationConverter implements ITypeConverter<Verification> {

    @Override
    public Verification convert(String value) {
        return Verification.of(value)
                .orElseThrow(() -> new TypeConversionException("\"" + value + "\" is not ReadBack or StoreChecksum"));
    }
}
