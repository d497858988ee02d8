/**
 * The story on a real cluster: our image in real pods, our chart, Pod Security {@code restricted}; database and store outside of it. Runs with
 * {@code mvn verify -Pcluster}; see CONTRIBUTING.
 */
@NullMarked
package io.flynn.blobstore.e2e;

import org.jspecify.annotations.NullMarked;
