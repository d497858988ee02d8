/**
 * The whole story as one scenario: the old state, backups, clients, the move, and a checker that shares nothing with the program.
 * The same scenario runs on {@code LocalCluster} (the demo, {@code StoryIT}) and on a real cluster.
 *
 * <p>Speaks only JDBC, HTTP, S3 and Kubernetes. Imports nothing of store, move or serve: it exists to disbelieve them.
 */
@NullMarked
package io.flynn.blobstore.testkit.story;

import org.jspecify.annotations.NullMarked;
