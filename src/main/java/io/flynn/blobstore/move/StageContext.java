package io.flynn.blobstore.move;

import io.flynn.blobstore.store.postgres.Database;

/**
 * What every stage works with.
 *
 * @param database the workload's
 * @param migration the migration's uid, for the fence
 * @param progress counts for those who watch
 * @param stop told by SIGTERM
 */
public record StageContext(Database database, String migration, ProgressMeter progress, StopSignal stop) {}
