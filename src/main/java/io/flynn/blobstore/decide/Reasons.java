package io.flynn.blobstore.decide;

/**
 * Every reason that a condition, a report or an event can carry. They are API: a reason keeps its meaning for ever. Each
 * names one thing that a person can act on; docs/conditions.md says what to do for each.
 */
public final class Reasons {

    private Reasons() {}

    /** Whether what has this reason may be over by itself: nobody need act yet. */
    public static boolean isTransient(String reason) {
        return switch (reason) {
            case DATABASE_UNREACHABLE,
                    DATABASE_BUSY,
                    DATABASE_READ_ONLY,
                    ENDPOINT_UNREACHABLE,
                    STORE_BUSY,
                    ANOTHER_MIGRATION,
                    ROWS_BUSY,
                    WAITING_FOR_TRANSACTIONS,
                    LOCK_TIMEOUT,
                    INTERRUPTED -> true;
            default -> false;
        };
    }

    // The world of a worker
    /** The database can't be reached, or went away. */
    public static final String DATABASE_UNREACHABLE = "DatabaseUnreachable";
    /** The database refuses the login or a statement. */
    public static final String DATABASE_DENIED = "DatabaseDenied";
    /** All connections are in use, or others change what is to be changed. */
    public static final String DATABASE_BUSY = "DatabaseBusy";
    /** The database takes no changes: it is a standby, or was set so. */
    public static final String DATABASE_READ_ONLY = "DatabaseReadOnly";
    /** The database has no room left: disk or lock table. */
    public static final String DATABASE_FULL = "DatabaseFull";
    /** The tables are not those of the blobstore. */
    public static final String SCHEMA_UNKNOWN = "SchemaUnknown";
    /** A variable that the worker needs is missing in the workload's environment. */
    public static final String ENVIRONMENT_INCOMPLETE = "EnvironmentIncomplete";
    /** A backend's settings can't be used. */
    public static final String BACKEND_INVALID = "BackendInvalid";
    /** The environment has no such backend. */
    public static final String BACKEND_UNKNOWN = "BackendUnknown";
    /** The endpoint's name does not resolve, or nobody answers there. */
    public static final String ENDPOINT_UNREACHABLE = "EndpointUnreachable";
    /** The store is there but says no for now: throttled, overloaded, restarting. */
    public static final String STORE_BUSY = "StoreBusy";
    /** The store has no room left, or the object is too large for it. */
    public static final String STORE_FULL = "StoreFull";
    /** The store has no such object. */
    public static final String OBJECT_MISSING = "ObjectMissing";
    /** The store answers something that breaks its protocol. */
    public static final String STORE_FAULTY = "StoreFaulty";
    /** The access key or its secret is wrong, or has expired. */
    public static final String CREDENTIALS_REFUSED = "CredentialsRefused";
    /** The key is right, but the policy denies an action. */
    public static final String ACCESS_DENIED = "AccessDenied";
    /** The bucket doesn't exist. */
    public static final String BUCKET_MISSING = "BucketMissing";
    /** The bucket is marked as another installation's: this one may be a copy of it. */
    public static final String FOREIGN_BUCKET = "ForeignBucket";
    /** The bucket lies in another region than the settings say. */
    public static final String WRONG_REGION = "WrongRegion";
    /** Another migration works on this database. */
    public static final String ANOTHER_MIGRATION = "AnotherMigration";
    /** New blobs don't go to the target, so copying would never end. */
    public static final String TARGET_NOT_DEFAULT = "TargetNotDefault";
    /** Source and target are two names of one bucket. */
    public static final String SAME_BUCKET = "SameBucket";
    /** Whenever rows were to be flipped, others held or changed them. */
    public static final String ROWS_BUSY = "RowsBusy";
    /** Older transactions hold locks on the rows; clean waits for their end. */
    public static final String WAITING_FOR_TRANSACTIONS = "WaitingForTransactions";
    /** The role may not vacuum the catalog. */
    public static final String VACUUM_NOT_PERMITTED = "VacuumNotPermitted";
    /** The lock that a full vacuum needs was not to be had in time. */
    public static final String LOCK_TIMEOUT = "LockTimeout";
    /** The role may not read or unlink the large objects. */
    public static final String LARGE_OBJECTS_DENIED = "LargeObjectsDenied";
    /** The role doesn't own {@code files}, so the move guard can't be set; rows are settled after their flip and at the copy's end. */
    public static final String NO_MOVE_GUARD = "NoMoveGuard";
    /** A blob is larger than anything that its target can hold may be. */
    public static final String BLOB_TOO_LARGE = "BlobTooLarge";
    /** The worker was told to stop. */
    public static final String INTERRUPTED = "Interrupted";
    /** The program did something that its authors hold for impossible. */
    public static final String INTERNAL = "InternalError";

    // One blob
    /** The large object that the row names is not there. */
    public static final String SOURCE_MISSING = "SourceMissing";
    /** The row never had a digest; it is computed and recorded. */
    public static final String DIGEST_MISSING = "DigestMissing";
    /** The bytes are more or fewer than the row says. */
    public static final String SIZE_DIFFERS = "SizeDiffers";
    /** The bytes have another digest than the row says. */
    public static final String DIGEST_DIFFERS = "DigestDiffers";
    /** The object at the target is missing or differs, and the large object can't stand in for it. */
    public static final String TARGET_DIFFERS = "TargetDiffers";

    // How a stage ended
    public static final String DONE = "Done";
    /** Every check passed. */
    public static final String PROBED = "Probed";
    /** Rows are left at the source; copy goes on. */
    public static final String BLOBS_REMAIN = "BlobsRemain";
    /** Some blobs can't be moved before somebody looks at them. */
    public static final String BLOBS_FAILED = "BlobsFailed";

    // Pods that we make
    /** The workload's pod has several containers and none is named. */
    public static final String CONTAINER_AMBIGUOUS = "ContainerAmbiguous";
    /** The workload's pod has no container of that name. */
    public static final String CONTAINER_UNKNOWN = "ContainerUnknown";
    /** The pod template would make the pod look like one of somebody else's. */
    public static final String POD_TEMPLATE_REFUSED = "PodTemplateRefused";
    /** Kubernetes can't start the pod: its image, its configuration or a place for it is missing. */
    public static final String POD_NOT_STARTED = "PodNotStarted";
    /** The API server refuses the Job; its own words say why. */
    public static final String JOB_REFUSED = "JobRefused";
    /** The API server refuses a change of the Deployment, or the Secret for it; its own words say why. */
    public static final String CHANGE_REFUSED = "ChangeRefused";
    /** The API server doesn't answer the operator, or refuses what it needs. */
    public static final String API_FAILURE = "ApiFailure";
    /** The stage ended without saying how; it runs again. */
    public static final String REPORT_LOST = "ReportLost";
    /** The stage's pod is at work. */
    public static final String RUNNING = "Running";

    // How a migration stands
    /** Its turn has not come. */
    public static final String PENDING = "Pending";
    /** The spec doesn't ask for this stage. */
    public static final String NOT_REQUESTED = "NotRequested";
    /** A plan was asked for, and is there to be read. */
    public static final String PLAN_READY = "PlanReady";
    /** Ended by spec.cancel. */
    public static final String CANCELED = "Canceled";
    /** Paused by spec.suspend. */
    public static final String SUSPENDED = "Suspended";
    /** Verified; what the blobs left at the source is kept for as long as the spec asks for. */
    public static final String IN_RETENTION = "InRetention";
    /** Another migration brings the blobs back, so what they left at the source is in use again and is not removed. */
    public static final String MOVED_BACK = "MovedBack";
    /** A pod finishes what it has in flight before the migration rests. */
    public static final String STOPPING = "Stopping";
    /** A stage failed, and its own words are lost. */
    public static final String STAGE_FAILED = "StageFailed";
    /** The BlobstoreBackend that the migration names doesn't exist. */
    public static final String BACKEND_NOT_FOUND = "BackendNotFound";
    /** The target isn't ready; its own conditions say why. */
    public static final String TARGET_NOT_READY = "TargetNotReady";
    /** Rows name the target, but pods of the workload don't have it any more. */
    public static final String TARGET_LOST = "TargetLost";
    /** The target is configured in another Deployment than the one whose blobs are to move. */
    public static final String TARGET_OF_ANOTHER_WORKLOAD = "TargetOfAnotherWorkload";
    /** Not every pod of the workload has the source. */
    public static final String SOURCE_NOT_READY = "SourceNotReady";
    /** The source is configured in another Deployment than the one whose blobs are to move. */
    public static final String SOURCE_OF_ANOTHER_WORKLOAD = "SourceOfAnotherWorkload";
    /** The Deployment doesn't exist. */
    public static final String WORKLOAD_MISSING = "WorkloadMissing";

    // A backend
    /** All is as wanted. */
    public static final String READY = "Ready";
    /** A value of the spec can't be used. */
    public static final String SPEC_INVALID = "SpecInvalid";
    /** The endpoint is one that nobody may name, or http where only https is allowed. */
    public static final String ENDPOINT_REFUSED = "EndpointRefused";
    /** The Secret with the access key doesn't exist. */
    public static final String SECRET_MISSING = "SecretMissing";
    /** The Secret lacks a key. */
    public static final String SECRET_KEY_MISSING = "SecretKeyMissing";
    /** A value in the Secret can't be an access key. */
    public static final String CREDENTIALS_INVALID = "CredentialsInvalid";
    /** Nobody has tried yet. */
    public static final String NOT_PROBED = "NotProbed";
    /** A probe runs. */
    public static final String PROBING = "Probing";
    /** The Deployment is paused, so its pods can't get the backend. */
    public static final String WORKLOAD_PAUSED = "WorkloadPaused";
    /** The Deployment doesn't have the backend yet. */
    public static final String NOT_CONFIGURED = "NotConfigured";
    /** Pods with the new configuration replace those without. */
    public static final String ROLLING_OUT = "RollingOut";
    /** The rollout made no progress within the Deployment's deadline. */
    public static final String ROLLOUT_STUCK = "RolloutStuck";
    /** Every pod has the backend. */
    public static final String CONFIGURED = "Configured";
    /** Somebody else set a field that the backend needs. */
    public static final String FIELD_CONFLICT = "FieldConflict";
    /** Somebody takes the backend out of the Deployment again and again. */
    public static final String OWNERSHIP_FLAPPING = "OwnershipFlapping";
    /** Bucket, region or endpoint changed while rows use the backend. */
    public static final String IMMUTABLE_WHILE_IN_USE = "ImmutableWhileInUse";
    /** Another resource is the workload's default. */
    public static final String DEFAULT_CONFLICT = "DefaultConflict";
    /** New blobs go here. */
    public static final String DEFAULT = "Default";
    /** New blobs go elsewhere, as is wanted. */
    public static final String NOT_DEFAULT = "NotDefault";
    /** Rows use the backend. */
    public static final String IN_USE = "InUse";
    /** No row uses the backend. */
    public static final String NOT_IN_USE = "NotInUse";
    /** Nobody could count the rows. */
    public static final String NOT_COUNTED = "NotCounted";
    /** The backend is being taken out of the workload. */
    public static final String REMOVING = "Removing";
}
