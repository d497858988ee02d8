/** What is installed: chart, manifests and permissions, read as files, without a cluster. */
@NullMarked
package io.flynn.blobstore.manifest;

import org.jspecify.annotations.NullMarked;
