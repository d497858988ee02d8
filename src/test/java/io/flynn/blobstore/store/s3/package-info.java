@NullMarked
package io.flynn.blobstore.store.s3;

import org.jspecify.annotations.NullMarked;
