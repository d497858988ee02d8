/**
 * Pure decisions and the words they are said in. Floor 1: imports the JDK and {@code blob} only; no I/O, no clock, no
 * log, no randomness.
 */
@NullMarked
package io.flynn.blobstore.decide;

import org.jspecify.annotations.NullMarked;
