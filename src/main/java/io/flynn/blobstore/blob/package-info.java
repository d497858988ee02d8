/**
 * Values: what a blob, its row and its place are called. Floor 0: imports the JDK only.
 */
@NullMarked
package io.flynn.blobstore.blob;

import org.jspecify.annotations.NullMarked;
