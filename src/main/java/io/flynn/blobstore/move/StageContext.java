package io.flynn.blobstore.move;

import io.flynn.blobstore.store.postgres.Database;
import io.flynn.blobstore.store.postgres.MigrationFence;

/**
 * What every stage works with.
 *
 * @param database the workload's
 * @param fence the migration's
 * @param progress counts for those who watch
 * @param stop told by SIGTERM
 */
public record StageContext(Database database, MigrationFence fence, ProgressMeter progress, StopSignal stop) {}
