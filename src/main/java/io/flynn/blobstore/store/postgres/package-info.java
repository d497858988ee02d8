/** Rows and large objects in PostgreSQL. Floor 2; the only package that imports {@code java.sql} and the driver. */
@NullMarked
package io.flynn.blobstore.store.postgres;

import org.jspecify.annotations.NullMarked;
