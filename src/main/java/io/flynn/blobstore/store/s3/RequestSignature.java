package io.flynn.blobstore.store.s3;

import io.flynn.blobstore.blob.Secret;
import java.nio.charset.StandardCharsets;
import java.security.InvalidKeyException;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.HexFormat;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.regex.Pattern;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/** Signs requests whose bodies are not signed (Amazon S3 API Reference, "Signature Version 4"). Thread-safe. */
final class RequestSignature {

    private static final String ALGORITHM = "AWS4-HMAC-SHA256";
    private static final String HMAC = "HmacSHA256";
    private static final DateTimeFormatter TIME =
            DateTimeFormatter.ofPattern("yyyyMMdd'T'HHmmss'Z'").withZone(ZoneOffset.UTC);
    private static final Pattern BLANKS = Pattern.compile(" +");
    private static final int DAY_CHARACTERS = "yyyyMMdd".length();

    private final String region;
    private final Secret accessKeyId;
    private final Secret secretAccessKey;
    private volatile DayKey last = new DayKey("", new SecretKeySpec(new byte[1], HMAC));

    private record DayKey(String day, SecretKeySpec key) {}

    RequestSignature(String region, Secret accessKeyId, Secret secretAccessKey) {
        this.region = region;
        this.accessKeyId = accessKeyId;
        this.secretAccessKey = secretAccessKey;
    }

    /**
     * @param path as it is sent; needs no escaping
     * @param headers to be signed and sent, names in lower case; {@code host} and {@code x-amz-content-sha256} among them
     * @return these, the time and the signature
     */
    Map<String, String> sign(String method, String path, Map<String, String> headers, Instant now) {
        String time = TIME.format(now);
        String day = time.substring(0, DAY_CHARACTERS);
        SortedMap<String, String> signed = new TreeMap<>(headers);
        signed.put("x-amz-date", time);
        StringBuilder canonical =
                new StringBuilder(512).append(method).append('\n').append(path).append("\n\n");
        signed.forEach((name, value) ->
                canonical.append(name).append(':').append(canonical(value)).append('\n'));
        String names = String.join(";", signed.keySet());
        canonical.append('\n').append(names).append('\n').append(signed.get("x-amz-content-sha256"));
        String scope = day + "/" + region + "/s3/aws4_request";
        String toSign = ALGORITHM + "\n" + time + "\n" + scope + "\n" + sha256(canonical.toString());
        String signature = HexFormat.of().formatHex(hmac(key(day), toSign));
        signed.put(
                "authorization",
                ALGORITHM + " Credential=" + accessKeyId.reveal() + "/" + scope + ", SignedHeaders=" + names
                        + ", Signature=" + signature);
        return signed;
    }

    private static String canonical(String value) {
        return value.contains("  ") ? BLANKS.matcher(value).replaceAll(" ") : value;
    }

    private SecretKeySpec key(String day) {
        DayKey key = last;
        if (!key.day().equals(day)) {
            byte[] secret = ("AWS4" + secretAccessKey.reveal()).getBytes(StandardCharsets.UTF_8);
            byte[] bytes = hmac(new SecretKeySpec(secret, HMAC), day);
            for (String part : new String[] {region, "s3", "aws4_request"}) {
                bytes = hmac(new SecretKeySpec(bytes, HMAC), part);
            }
            key = new DayKey(day, new SecretKeySpec(bytes, HMAC));
            last = key;
        }
        return key.key();
    }

    private static byte[] hmac(SecretKeySpec key, String text) {
        try {
            Mac mac = Mac.getInstance(HMAC);
            mac.init(key);
            return mac.doFinal(text.getBytes(StandardCharsets.UTF_8));
        } catch (NoSuchAlgorithmException | InvalidKeyException e) {
            throw new IllegalStateException("every Java platform has " + HMAC, e);
        }
    }

    private static String sha256(String text) {
        try {
            return HexFormat.of()
                    .formatHex(MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8)));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform has SHA-256", e);
        }
    }
}
