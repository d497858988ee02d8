package io.flynn.blobstore.store.s3;

import io.flynn.blobstore.store.Traffic;
import software.amazon.awssdk.core.interceptor.Context;
import software.amazon.awssdk.core.interceptor.ExecutionAttributes;
import software.amazon.awssdk.core.interceptor.ExecutionInterceptor;
import software.amazon.awssdk.http.HttpStatusCode;
import software.amazon.awssdk.http.SdkHttpResponse;

/** Throttles, when a store says that it is too much: of the SDK's own attempts, too, which it would make again without a word. */
record Refusals(Traffic traffic) implements ExecutionInterceptor {

    @Override
    public void afterTransmission(Context.AfterTransmission answer, ExecutionAttributes attributes) {
        look(answer.httpResponse());
    }

    /** Whether it says so. */
    boolean look(SdkHttpResponse answer) {
        int status = answer.statusCode();
        boolean isRefusal = status == HttpStatusCode.THROTTLING || status == HttpStatusCode.SERVICE_UNAVAILABLE;
        if (isRefusal) {
            traffic.refused();
        }
        return isRefusal;
    }
}
