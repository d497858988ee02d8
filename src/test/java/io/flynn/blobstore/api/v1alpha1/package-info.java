/** Tests of the custom resources' types and of the CRDs that are generated from them. */
@NullMarked
package io.flynn.blobstore.api.v1alpha1;

import org.jspecify.annotations.NullMarked;
