package io.flynn.blobstore.move;

import io.flynn.blobstore.store.postgres.Database;
import io.flynn.blobstore.store.postgres.MoveCatalog;
import io.flynn.blobstore.store.postgres.MoveCatalog.Count;
import io.flynn.blobstore.store.postgres.RetainedObjects;

/** What moves have left at their source, in scope: large objects that rows still have, and objects that are held. */
final class Uncleaned {

    private final MoveCatalog catalog;
    private final RetainedObjects retained;
    private final Route route;

    Uncleaned(Database database, Route route) {
        catalog = new MoveCatalog(database);
        retained = new RetainedObjects(database);
        this.route = route;
    }

    Count count() {
        Count largeObjects = largeObjects();
        Count objects = objects();
        return new Count(largeObjects.blobs() + objects.blobs(), largeObjects.bytes() + objects.bytes());
    }

    /** Blobs in the database have theirs for good. */
    Count largeObjects() {
        return route.to().isExternal() ? catalog.countUncleaned(route.to(), route.filter()) : new Count(0, 0);
    }

    Count objects() {
        return route.from().isExternal() ? retained.count(route.from(), route.filter()) : new Count(0, 0);
    }
}
