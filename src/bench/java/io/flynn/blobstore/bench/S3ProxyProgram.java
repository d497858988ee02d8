package io.flynn.blobstore.bench;

import java.net.URI;
import org.gaul.s3proxy.S3Proxy;
import org.gaul.s3proxy.auth.AuthenticationType;
import org.gaul.s3proxy.nio2blob.FilesystemNio2BlobStore;

/** S3Proxy as a program of its own, its objects in a folder: {@code S3ProxyProgram PORT FOLDER KEY-ID SECRET-KEY}. */
public final class S3ProxyProgram {

    private S3ProxyProgram() {}

    public static void main(String[] arguments) throws Exception {
        S3Proxy.builder()
                .blobStore(new FilesystemNio2BlobStore(arguments[1]))
                .endpoint(URI.create("http://127.0.0.1:" + arguments[0]))
                .awsAuthentication(AuthenticationType.AWS_V2_OR_V4, arguments[2], arguments[3])
                .build()
                .start();
    }
}
