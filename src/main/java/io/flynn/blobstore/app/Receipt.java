package io.flynn.blobstore.app;

import com.fasterxml.jackson.annotation.JsonPropertyOrder;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.flynn.blobstore.decide.ExitCode;
import io.flynn.blobstore.decide.InvalidSettingException;
import io.flynn.blobstore.decide.Reasons;
import io.flynn.blobstore.decide.StageReport;
import io.flynn.blobstore.decide.StageReport.Figure;
import io.flynn.blobstore.decide.StageReport.Finding;
import io.flynn.blobstore.move.PlanRun;
import io.flynn.blobstore.move.Route;
import io.flynn.blobstore.move.StageContext;
import io.flynn.blobstore.move.StageRun;
import io.flynn.blobstore.store.postgres.Inventory;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/**
 * What a verification that found everything in order leaves in writing.
 *
 * @param program its version
 * @param plan the plan's identity
 * @param from where the blobs were
 * @param to where they are
 * @param filter which blobs; empty = all
 * @param blobs that were read back and are what their rows say
 * @param bytes theirs
 * @param sha512 one digest over all of them, sorted by id: of each the id (16 bytes), size (8 bytes) and SHA-512
 * @param started when the verification began, by this process's clock
 * @param finished when it ended
 */
@JsonPropertyOrder({"program", "plan", "from", "to", "filter", "blobs", "bytes", "sha512", "started", "finished"})
record Receipt(
        String program,
        String plan,
        String from,
        String to,
        String filter,
        long blobs,
        long bytes,
        String sha512,
        String started,
        String finished) {

    private static final ObjectMapper JSON =
            JsonMapper.builder().enable(SerializationFeature.INDENT_OUTPUT).build();

    /** Where it goes. */
    static final class Where {
        @Option(
                names = "--receipt",
                paramLabel = "FILE",
                description =
                        "Write what was proven to this file, if nothing is left and nothing is wrong: counts, bytes, one"
                                + " digest over all blobs, the plan's hash, version and times.")
        @Nullable
        Path file;

        /** @param place names the stores at both ends */
        StageRun writtenAfter(StageRun verification, StageContext context, Route route, String place) {
            requireWritable();
            return file == null ? verification : new Written(verification, file, context, route, place);
        }

        /** @throws InvalidSettingException if the file can't be written: better now than after hours */
        void requireWritable() {
            Path target = file;
            if (target == null) {
                return;
            }
            Path folder = target.toAbsolutePath().getParent();
            if (folder == null
                    || !Files.isDirectory(folder)
                    || !Files.isWritable(folder)
                    || Files.isDirectory(target)) {
                throw new InvalidSettingException(
                        "--receipt",
                        "is \"%s\", which can't be written: name a file in a folder that can".formatted(target));
            }
        }
    }

    private static final class Written implements StageRun {

        private final StageRun verification;
        private final Path file;
        private final StageContext context;
        private final Route route;
        private final String place;

        Written(StageRun verification, Path file, StageContext context, Route route, String place) {
            this.verification = verification;
            this.file = file;
            this.context = context;
            this.route = route;
            this.place = place;
        }

        @Override
        public StageReport run() {
            Instant started = Instant.now();
            StageReport report = verification.run();
            if (report.outcome() == ExitCode.DONE && report.reason().equals(Reasons.DONE)) {
                write(new Receipt(
                        Main.version(),
                        PlanRun.identity(new Inventory(context.database()), route, place),
                        route.from().value(),
                        route.to().value(),
                        route.filter().toString(),
                        report.figure(Figure.BLOBS).orElseThrow(),
                        report.figure(Figure.BYTES).orElseThrow(),
                        report.identity(),
                        started.toString(),
                        Instant.now().toString()));
            }
            return report;
        }

        /** Whole or not at all, whatever lay there before. */
        private void write(Receipt receipt) {
            Path whole = file.resolveSibling(file.getFileName() + ".new");
            try {
                Files.write(whole, JSON.writeValueAsBytes(receipt));
                Files.move(whole, file, StandardCopyOption.REPLACE_EXISTING, StandardCopyOption.ATOMIC_MOVE);
            } catch (JsonProcessingException e) {
                throw new IllegalStateException("numbers and texts are always JSON", e);
            } catch (IOException e) {
                throw new UncheckedIOException("could not write the receipt to " + file, e);
            }
        }

        @Override
        public Map<Figure, Long> figures() {
            return verification.figures();
        }

        @Override
        public List<Finding> findings() {
            return verification.findings();
        }
    }
}
