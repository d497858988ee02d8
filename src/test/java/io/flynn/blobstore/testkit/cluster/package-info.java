/**
 * A Kubernetes for tests and for the demo, from Maven Central parts alone: an API server in memory, the controllers that the
 * product relies on, and a node that runs containers as local processes.
 *
 * <p>It is a fake. It implements only what the product uses, answers 404, 415 or 501 to everything else, and where it is
 * uncertain it is stricter than Kubernetes. {@code ClusterContract} holds it to the real thing: the same tests run on both,
 * and a difference is a bug here.
 *
 * <p>{@link io.flynn.blobstore.testkit.cluster.LocalCluster} is the way in.
 */
@NullMarked
package io.flynn.blobstore.testkit.cluster;

import org.jspecify.annotations.NullMarked;
