/**
 * What the blobstore promises, seen from outside: by HTTP, on every kind of store, on databases as the old program wrote them, beside the old
 * program, and by requests that nobody thought of. Nothing here speaks through the program's own adapters.
 */
@NullMarked
package io.flynn.blobstore.conformance;

import org.jspecify.annotations.NullMarked;
