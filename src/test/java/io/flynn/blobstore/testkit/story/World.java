package io.flynn.blobstore.testkit.story;

import io.fabric8.kubernetes.client.KubernetesClient;
import java.net.URI;
import java.sql.SQLException;
import java.time.Duration;

/**
 * What the story runs on: a cluster with our operator in it, a database, a bucket. It happens the same in every world; only how it
 * came about differs.
 */
public interface World {

    KubernetesClient kubernetes();

    String namespace();

    /** The blobstore's database as this process reaches it; empty until the story fills it. */
    Database database();

    /** An empty database on the same server. */
    Database scratch(String name) throws SQLException;

    /** The bucket, which exists and is empty, as this process reaches it. */
    Bucket.Location bucket();

    /** The bucket's endpoint as pods reach it. */
    URI endpointForPods();

    /** Starts the Deployment {@code blobstore}, two replicas, on PostgreSQL alone; returns its address once they are ready. */
    URI startBlobstore() throws Exception;

    /** As {@code kubectl apply -f}. */
    void apply(String yaml) throws Exception;

    /**
     * As {@code kubectl wait --for=condition=…}: returns when the condition is True.
     *
     * @param resource as kubectl takes it, such as {@code bm/pg-to-s3}
     * @throws IllegalStateException naming the resource's conditions, if it isn't in time, or needs a person
     */
    void await(String resource, String condition, Duration timeout) throws Exception;
}
