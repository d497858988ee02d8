package io.flynn.blobstore.operate;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/** The labels on what we create. They are for people and for narrowing watches; ownership is decided by owner references. */
public final class Labels {

    public static final String MANAGED_BY = "app.kubernetes.io/managed-by";
    public static final String OPERATOR = "blobstore-operator";
    public static final String COMPONENT = "app.kubernetes.io/component";
    public static final String WORKER = "worker";
    /** Of all labels that are ours alone. */
    public static final String PREFIX = "blobstore.flynn.io/";

    public static final String BACKEND = PREFIX + "backend";
    public static final String MIGRATION = PREFIX + "migration";
    public static final String STAGE = PREFIX + "stage";

    /** kubernetes.io, "Labels and Selectors", syntax. */
    private static final int VALUE_LENGTH_MAX = 63;

    private static final int DIGEST_LENGTH = 8;

    private Labels() {}

    /** A resource's name as a label's value: names may have 253 characters, so a long one is cut and told apart by a digest. */
    public static String value(String name) {
        if (name.length() <= VALUE_LENGTH_MAX) {
            return name;
        }
        return name.substring(0, VALUE_LENGTH_MAX - DIGEST_LENGTH - 1) + "-" + digest(name);
    }

    private static String digest(String name) {
        try {
            byte[] sha256 = MessageDigest.getInstance("SHA-256").digest(name.getBytes(StandardCharsets.UTF_8));
            return HexFormat.of().formatHex(sha256).substring(0, DIGEST_LENGTH);
        } catch (NoSuchAlgorithmException impossible) {
            throw new IllegalStateException("every Java has SHA-256", impossible);
        }
    }
}
