/**
 * Ports to the places where rows and bytes are kept, and the failures they may throw. Floor 2; the adapters in
 * {@code store.postgres} and {@code store.s3} don't know each other.
 */
@NullMarked
package io.flynn.blobstore.store;

import org.jspecify.annotations.NullMarked;
