@NullMarked
package io.flynn.blobstore.move;

import org.jspecify.annotations.NullMarked;
