package io.flynn.blobstore.store.s3;

import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.store.StorageFailure;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import software.amazon.awssdk.auth.credentials.AwsCredentials;
import software.amazon.awssdk.auth.credentials.AwsCredentialsProvider;
import software.amazon.awssdk.auth.credentials.InstanceProfileCredentialsProvider;
import software.amazon.awssdk.core.exception.SdkException;
import software.amazon.awssdk.identity.spi.AwsCredentialsIdentity;
import software.amazon.awssdk.identity.spi.ResolveIdentityRequest;

/**
 * The key of the EC2 instance's role, from its metadata service: asked for by whoever needs it first, and anew before it ends.
 * Thread-safe; blocks for as long as the service does, a few seconds at most.
 */
final class InstanceRole implements AwsCredentialsProvider {

    /** A process has one role. */
    static final InstanceRole OF_THIS_PROCESS = new InstanceRole();

    /** As the old program has it, and as long before the old key's end as EC2 has a new one. */
    private static final Duration MARGIN = Duration.ofMinutes(5);

    private final InstanceProfileCredentialsProvider role =
            InstanceProfileCredentialsProvider.builder().staleTime(MARGIN).build();

    private InstanceRole() {}

    /** @throws StorageFailure.Busy if the service doesn't give it */
    @Override
    public AwsCredentials resolveCredentials() {
        try {
            return role.resolveCredentials();
        } catch (SdkException e) {
            throw new StorageFailure.Busy(
                    Reasons.CREDENTIALS_REFUSED,
                    "could not get the key of the instance's role (ec2_role=true) from its metadata service: has the instance a"
                            + " role, and may a container ask for it (a hop limit of 2)?",
                    e);
        }
    }

    /** Never throws. */
    @Override
    public CompletableFuture<AwsCredentialsIdentity> resolveIdentity(ResolveIdentityRequest request) {
        try {
            return CompletableFuture.completedFuture(resolveCredentials());
        } catch (StorageFailure e) {
            return CompletableFuture.failedFuture(e);
        }
    }
}
