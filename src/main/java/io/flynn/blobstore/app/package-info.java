/** Composition root: parses the command line and the settings and wires one role. Floor 4; imports everything. */
@NullMarked
package io.flynn.blobstore.app;

import org.jspecify.annotations.NullMarked;
