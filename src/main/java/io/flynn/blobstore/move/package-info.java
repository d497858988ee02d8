/**
 * The stages of a migration: probe, plan, copy, verify, clean, vacuum. Floor 3; imports no Fabric8, no JOSDK: a worker holds
 * no cluster token.
 */
@NullMarked
package io.flynn.blobstore.move;

import org.jspecify.annotations.NullMarked;
