/** What tests share: generators, embedded servers, the independent checker. */
@NullMarked
package io.flynn.blobstore.testkit;

import org.jspecify.annotations.NullMarked;
