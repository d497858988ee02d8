package io.flynn.blobstore.blob;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class BlobNameTest {

    /** Go's own examples for path.Clean, as far as they have a leading slash. */
    @ParameterizedTest
    @CsvSource(textBlock = """
            /,              /
            /abc,           /abc
            /abc/def,       /abc/def
            /abc/,          /abc
            /abc/def/,      /abc/def
            //abc,          /abc
            ///abc,         /abc
            //abc//,        /abc
            /abc/./def,     /abc/def
            /./abc/def,     /abc/def
            /abc/.,         /abc
            /abc/def/..,    /abc
            /abc/def/../..,       /
            /abc/def/../../..,    /
            /../abc,        /abc
            /abc/def/../../../ghi/jkl/../../../mno, /mno
            /...,           /...
            /..abc/.b,      /..abc/.b
            """)
    void cleansAsGoDoes(String path, String cleaned) {
        assertThat(BlobName.of(path).value()).isEqualTo(cleaned);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "abc", "./abc", "/a\0b"})
    void refusesWhatIsNoName(String path) {
        assertThatIllegalArgumentException().isThrownBy(() -> BlobName.of(path));
    }

    @Test
    void isNeverAnythingButClean() {
        assertThatIllegalArgumentException().isThrownBy(() -> new BlobName("/a/"));
    }

    @Test
    void prefixOfTheRootIsTheRoot() {
        assertThat(BlobName.ROOT.prefix()).isEqualTo("/");
        assertThat(new BlobName("/a").prefix()).isEqualTo("/a/");
    }
}
