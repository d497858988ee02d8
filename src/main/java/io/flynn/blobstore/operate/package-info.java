/**
 * Kubernetes in and out. Floor 3; imports no {@code java.sql}, no AWS SDK and nothing of {@code store}: the operator opens
 * no connection but to the API server.
 */
@NullMarked
package io.flynn.blobstore.operate;

import org.jspecify.annotations.NullMarked;
