package io.flynn.blobstore.operate;

import io.fabric8.kubernetes.api.model.Quantity;
import java.math.BigDecimal;

/** Numbers of bytes as a spec spells them. */
final class SpecBytes {

    private SpecBytes() {}

    /** @param quantity as the schema lets it through; what is more than a {@code long} holds is as good as no bound */
    static long of(String quantity) {
        return Quantity.getAmountInBytes(new Quantity(quantity))
                .min(BigDecimal.valueOf(Long.MAX_VALUE))
                .longValueExact();
    }
}
