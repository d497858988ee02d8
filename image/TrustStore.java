import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;

/**
 * Writes the runtime's list of trusted authorities from a folder of certificates: {@code java image/TrustStore.java FOLDER FILE}. The one in the
 * JDK of the machine that builds may hold that machine's own. The same bytes every time: without a password there are no salts.
 */
final class TrustStore {
    private TrustStore() {}

    public static void main(String[] arguments) throws IOException, GeneralSecurityException {
        System.setProperty("keystore.pkcs12.certProtectionAlgorithm", "NONE");
        System.setProperty("keystore.pkcs12.macAlgorithm", "NONE");
        var store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        var factory = CertificateFactory.getInstance("X.509");
        try (var files = Files.walk(Path.of(arguments[0]))) {
            for (var file : files.filter(path -> path.toString().endsWith(".crt")).sorted().toList()) {
                try (var certificate = Files.newInputStream(file)) {
                    store.setCertificateEntry(file.getFileName().toString(), factory.generateCertificate(certificate));
                }
            }
        }
        if (store.size() == 0) {
            throw new IOException("no certificates in " + arguments[0]);
        }
        try (OutputStream file = Files.newOutputStream(Path.of(arguments[1]))) {
            store.store(file, null);
        }
        System.out.println(store.size() + " authorities");
    }
}
