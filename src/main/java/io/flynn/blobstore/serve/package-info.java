/** The HTTP blobstore. Floor 3; imports no Fabric8, no JOSDK. */
@NullMarked
package io.flynn.blobstore.serve;

import org.jspecify.annotations.NullMarked;
