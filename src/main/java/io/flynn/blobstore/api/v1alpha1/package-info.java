/**
 * The custom resources: what a cluster admin writes and reads. Java types from which {@code crds/} is generated; beside
 * floor 1, imported by {@code operate} only. {@code null} is allowed here alone: a status that knows something not, leaves it
 * out. Every spec fills in the schema's defaults by itself, so an object that was stored under an older schema reads the same.
 */
@NullMarked
package io.flynn.blobstore.api.v1alpha1;

import org.jspecify.annotations.NullMarked;
