package io.flynn.blobstore.move;

import io.flynn.blobstore.testkit.LocalS3;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;

/** A store for each class, and for each test a bucket and a database of its own. */
abstract class MoveFixture {

    static LocalS3 s3;
    MoveWorld world;

    @BeforeAll
    static void startStore() {
        s3 = LocalS3.start();
    }

    @AfterAll
    static void stopStore() {
        s3.close();
    }

    @BeforeEach
    void makeWorld() {
        world = new MoveWorld(s3);
    }

    @AfterEach
    void closeWorld() {
        world.close();
    }
}
