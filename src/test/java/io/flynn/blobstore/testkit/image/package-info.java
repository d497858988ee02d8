/** What {@code image/build} needs besides a shell. */
@NullMarked
package io.flynn.blobstore.testkit.image;

import org.jspecify.annotations.NullMarked;
