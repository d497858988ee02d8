/** Objects in S3 and its relatives. Floor 2; the only package that imports the AWS SDK. */
@NullMarked
package io.flynn.blobstore.store.s3;

import org.jspecify.annotations.NullMarked;
