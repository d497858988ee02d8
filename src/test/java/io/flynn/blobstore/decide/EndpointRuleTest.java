package io.flynn.blobstore.decide;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.URI;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class EndpointRuleTest {

    @ParameterizedTest
    @ValueSource(
            strings = {
                "https://s3.example.com",
                "https://s3.example.com.",
                "https://s3.example.com:9000",
                "https://S3.Example.COM",
                "https://minio.storage.svc",
                "https://minio.storage.svc.cluster.local:443",
                "https://minio",
                "https://vpce-0a-1b.s3.eu-central-1.vpce.amazonaws.com",
                "https://account.r2.cloudflarestorage.com",
                "https://192.0.2.1",
                "https://10.0.0.7:9000",
                "https://172.16.0.1",
                "https://192.168.1.1",
                "https://[2001:db8::1]",
                "https://[2001:db8::1]:9000",
                "https://[fd12:3456::1]",
                "https://[::ffff:10.0.0.7]",
                "https://localhost.example.com",
                "https://xn--bcher-kva.example",
                "https://s3.example.com:1",
                "https://s3.example.com:65535"
            })
    void allowsAStore(String endpoint) {
        assertThat(EndpointRule.problem(endpoint, false)).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "http://s3.example.com",
                "http://10.0.0.7:9000",
                "http://localhost",
                "https://localhost",
                "https://LOCALHOST.",
                "https://store.localhost",
                "https://localhost.localdomain",
                "https://ip6-localhost",
                "https://127.0.0.1",
                "https://127.0.0.1:9000",
                "https://127.255.255.254",
                "https://127.0.0.1.",
                "https://0.0.0.0",
                "https://0.1.2.3",
                "https://[::1]",
                "https://[0:0:0:0:0:0:0:1]",
                "https://[::]",
                "https://[::ffff:127.0.0.1]",
                "https://[::ffff:7f00:1]",
                "https://[::127.0.0.1]",
                "https://[64:ff9b::127.0.0.1]",
                "https://[2002:7f00:1::]"
            })
    void allowsHttpAndThisMachineOnlyIfTheOperatorDoes(String endpoint) {
        assertThat(EndpointRule.problem(endpoint, false)).isPresent();
        assertThat(EndpointRule.problem(endpoint, true)).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "s3.example.com",
                "//s3.example.com",
                "ftp://s3.example.com",
                "file:///etc/passwd",
                "HTTPS://s3.example.com",
                "https://",
                "https://s3.example.com/",
                "https://s3.example.com/path",
                "https://s3.example.com?x=y",
                "https://s3.example.com#x",
                "https://user@s3.example.com",
                "https://user:password@s3.example.com",
                "https://s3.example.com@169.254.169.254",
                "https://s3.example.com\\@169.254.169.254",
                "https://s3.example.com:",
                "https://s3.example.com:0",
                "https://s3.example.com:65536",
                "https://s3.example.com:99999",
                "https://s3.example.com:80:80",
                "https://s3..example.com",
                "https://my_store.example.com",
                "https://store.9a",
                "https://store-9.0x7f",
                "https://.example.com",
                "https://-s3.example.com",
                "https://s3.example.com..",
                "https:// s3.example.com",
                "https://s3.example.com ",
                "https://s3.example.com\n",
                "https://s3.example.com bucket=other",
                "https://$(AWS_SECRET_ACCESS_KEY).example.com",
                "https://s3%2eexample.com",
                "https://ⓛocalhost",
                "https://１２７.0.0.1",
                "https://2130706433",
                "https://0x7f000001",
                "https://0x7f.1",
                "https://127.1",
                "https://0177.0.0.1",
                "https://127.0.0.01",
                "https://256.0.0.1",
                "https://1.2.3.4.5",
                "https://169.254.169.254",
                "https://169.254.169.254.",
                "https://2852039166",
                "https://[fe80::1]",
                "https://[fe80::1%25eth0]",
                "https://[::ffff:169.254.169.254]",
                "https://[::ffff:a9fe:a9fe]",
                "https://[64:ff9b::a9fe:a9fe]",
                "https://[2002:a9fe:a9fe::]",
                "https://[fd00:ec2::254]",
                "https://100.100.100.200",
                "https://metadata.google.internal",
                "https://metadata.google.internal.",
                "https://metadata",
                "https://224.0.0.1",
                "https://255.255.255.255",
                "https://[ff02::1]",
                "https://[::1",
                "https://[1::2::3]",
                "https://[]"
            })
    void refusesWhateverTheOperatorAllows(String endpoint) {
        assertThat(EndpointRule.problem(endpoint, true)).isPresent();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "https://a.b-c.d9",
                "https://a",
                "https://9a.example.com",
                "https://192.0.2.1:9000",
                "https://[2001:db8::1]"
            })
    void whatItAllowsHasAHostForEveryUrlParser(String endpoint) {
        assertThat(EndpointRule.problem(endpoint, false)).isEmpty();
        assertThat(URI.create(endpoint).getHost()).isNotNull();
    }

    @Test
    void doesNotRepeatAPassword() {
        assertThat(EndpointRule.problem("https://user:canary@s3.example.com", false)
                        .orElseThrow())
                .doesNotContain("canary");
    }

    @Test
    void saysWhatToWriteInstead() {
        assertThat(EndpointRule.problem("http://s3.example.com", false))
                .contains(
                        "\"http://s3.example.com\" is http: write https://, or let the operator allow it"
                                + " (allowInsecureEndpoints=true in the chart, BLOBSTORE_ALLOW_INSECURE_ENDPOINTS=true in its environment)");
    }
}
