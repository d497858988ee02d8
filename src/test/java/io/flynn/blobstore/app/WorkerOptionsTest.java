package io.flynn.blobstore.app;

import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine.ParameterException;

class WorkerOptionsTest {

    @ParameterizedTest
    @CsvSource({
        "copy, --concurrency, 0, from 1 to 1000",
        "copy, --concurrency, -1, from 1 to 1000",
        "verify, --concurrency, 2147483647, from 1 to 1000",
        "clean, --concurrency, 0, from 1 to 1000",
        "clean, --concurrency, 99999999999, from 1 to 1000",
        "copy, --retries, -1, from 0 to 1000",
        "vacuum, --lock-timeout, 0s, longer than 0",
        "vacuum, --lock-timeout, -5s, is no duration",
        "probe, --timeout, 0s, longer than 0"
    })
    void aNumberThatCantWorkIsRefusedWithItsRange(String stage, String option, String value, String fix) {
        assertThatThrownBy(() -> parse(stage, option, value))
                .isInstanceOf(ParameterException.class)
                .hasMessageContainingAll(option, value, fix);
    }

    @ParameterizedTest
    @ValueSource(strings = {"1", "64", "1000"})
    void everyOtherIsTaken(String concurrency) {
        assertThatCode(() -> parse("copy", "--concurrency", concurrency)).doesNotThrowAnyException();
    }

    @Test
    void noRetryIsAChoice() {
        assertThatCode(() -> parse("copy", "--retries", "0")).doesNotThrowAnyException();
    }

    /** A sample proves nothing about the rest. */
    @ParameterizedTest
    @CsvSource({
        "-c, 0, from 1 to 1000",
        "-c, many, from 1 to 1000",
        "--concurrency, -1, from 1 to 1000",
        "--sample, 10, Unknown option",
        "--vacuum, Never, expected one of"
    })
    void whatTheOldCommandIgnoredIsRefused(String option, String value, String fix) {
        assertThatThrownBy(() -> parseAll("migrate", option + "=" + value))
                .isInstanceOf(ParameterException.class)
                .hasMessageContainingAll(option, value, fix);
    }

    @Test
    void noSampleIsVerified() {
        assertThatThrownBy(() -> parse("verify", "--sample", "10"))
                .isInstanceOf(ParameterException.class)
                .hasMessageContaining("--sample");
    }

    private static void parse(String stage, String option, String value) {
        List<String> arguments = new ArrayList<>(List.of("worker", stage, option + "=" + value));
        arguments.addAll(
                switch (stage) {
                    case "probe" -> List.of("--backend=s3main");
                    case "vacuum" -> List.of("--migration=uid");
                    case "clean" -> List.of("--migration=uid", "--to=s3main");
                    default -> List.of("--migration=uid", "--from=postgres", "--to=s3main");
                });
        parseAll(arguments.toArray(String[]::new));
    }

    private static void parseAll(String... arguments) {
        Main.commandLine(arguments).parseArgs(arguments);
    }
}
