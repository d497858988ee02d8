package io.flynn.blobstore.decide;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

class ReasonsAreDocumentedTest {

    @Test
    void theCatalogueHasEveryReasonAndNoOther() throws Exception {
        Set<String> reasons = new TreeSet<>();
        for (var constant : Reasons.class.getFields()) {
            reasons.add((String) constant.get(null));
        }
        assertThat(documented()).isEqualTo(reasons);
    }

    /** The first cell of every row, below the table of conditions. */
    private static Set<String> documented() throws IOException {
        String text = Files.readString(Path.of("docs/conditions.md"));
        Set<String> documented = new TreeSet<>();
        Pattern cell = Pattern.compile("^\\| (`[^|]*) \\|", Pattern.MULTILINE);
        Matcher rows = cell.matcher(text.substring(text.indexOf("\n## ")));
        while (rows.find()) {
            Matcher names = Pattern.compile("`(\\w+)`").matcher(rows.group(1));
            while (names.find()) {
                documented.add(names.group(1));
            }
        }
        return documented;
    }
}
