package io.flynn.blobstore.conformance;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;

/** Requests at random, whose answers are those of a model; everything is a function of the seed. */
final class RequestSequence {

    private static final String FOLDER = "/model";

    /** Around the sizes where something begins: a page of a large object, a chunk of a stream. */
    private static final int[] SIZES = {0, 1, 2_047, 2_048, 2_049, 8_192, 262_145};

    private static final List<String> TYPES = List.of("", "text/plain", "text/html; charset=UTF-8", "Odd \"type\"");

    private static final int STEPS_BETWEEN_LOOKS_AT_EVERYTHING = 500;

    private final long seed;
    private final SplittableRandom random;
    private final Blobstore blobs;
    private final Model model = new Model();
    private final List<String> names;

    RequestSequence(long seed, Blobstore blobs) {
        this.seed = seed;
        this.blobs = blobs;
        random = new SplittableRandom(seed);
        names = HostileNames.below(FOLDER, random);
    }

    void run(int requests) {
        for (int step = 1; step <= requests; step++) {
            String name = names.get(random.nextInt(names.size()));
            int luck = random.nextInt(100);
            try {
                request(luck, name);
                if (step % STEPS_BETWEEN_LOOKS_AT_EVERYTHING == 0 || step == requests) {
                    everythingIsAsInTheModel();
                }
            } catch (AssertionError | RuntimeException e) {
                throw new AssertionError(
                        "seed %d, request %d (%d) of %s".formatted(seed, step, luck, HostileNames.shown(name)), e);
            }
        }
    }

    private void request(int luck, String name) {
        if (luck < 30) {
            put(name);
        } else if (luck < 43) {
            append(name);
        } else if (luck < 48) {
            copy(name);
        } else if (luck < 55) {
            delete(name);
        } else if (luck < 67) {
            range(name);
        } else if (luck < 80) {
            condition(name);
        } else if (luck < 88) {
            assertThat(blobs.list(name)).isEqualTo(model.children(name));
        } else {
            isAsInTheModel(name);
        }
    }

    private void put(String name) {
        byte[] bytes = bytes();
        String type = TYPES.get(random.nextInt(TYPES.size()));
        String[] headers = type.isEmpty() ? new String[0] : new String[] {"Content-Type", type};

        assertThat(blobs.put(name, bytes, headers).status()).isEqualTo(200);

        model.put(name, bytes, type);
        isAsInTheModel(name);
    }

    private void append(String name) {
        Optional<Model.Blob> blob = model.get(name);
        boolean isAtTheEnd = random.nextInt(4) != 0;
        int offset = blob.map(old -> old.bytes().length).orElse(1) + (isAtTheEnd ? 0 : 1 + random.nextInt(3));
        byte[] more = bytes();

        int status = blobs.put(name, more, "Blobstore-Offset", Integer.toString(offset))
                .status();

        if (blob.isEmpty()) {
            assertThat(status).isEqualTo(404);
        } else if (isAtTheEnd && offset == 0) {
            assertThat(status).isEqualTo(200);
            // Offset 0 is a plain upload or an append to nothing, which differ by the type.
            model.put(name, more, blobs.head(name).header("Content-Type").orElse(""));
        } else if (isAtTheEnd) {
            assertThat(status).isEqualTo(200);
            model.append(name, more);
        } else {
            assertThat(status).isBetween(400, 499);
        }
        isAsInTheModel(name);
    }

    private void copy(String name) {
        String source = names.get(random.nextInt(names.size()));
        Optional<Model.Blob> blob = model.get(source);

        int status = blobs.put(name, new byte[0], "Blobstore-Copy-From", Blobstore.encoded(source))
                .status();

        assertThat(status).isEqualTo(blob.isPresent() ? 200 : 404);
        blob.ifPresent(copied -> model.put(name, copied.bytes(), copied.type()));
        isAsInTheModel(name);
        isAsInTheModel(source);
    }

    private void delete(String name) {
        assertThat(blobs.delete(name).status()).isEqualTo(200);

        model.delete(name);
        isAsInTheModel(name);
        assertThat(blobs.list(name)).isEmpty();
        String parent = name.substring(0, name.lastIndexOf('/'));
        assertThat(blobs.list(parent)).isEqualTo(model.children(parent));
    }

    private void range(String name) {
        byte[] whole = model.get(name).map(Model.Blob::bytes).orElse(new byte[0]);
        int first = random.nextInt(whole.length + 2);
        int last = first + random.nextInt(whole.length + 2);
        int suffix = 1 + random.nextInt(whole.length + 2);
        boolean isSuffix = random.nextInt(3) == 0;
        boolean isOpen = random.nextInt(3) == 0;
        String range = isSuffix ? "-" + suffix : first + "-" + (isOpen ? "" : last);

        Answer answer = blobs.read(name, "Range", "bytes=" + range);

        int from = isSuffix ? Math.max(0, whole.length - suffix) : first;
        int to = isSuffix || isOpen ? whole.length : Math.min(last + 1, whole.length);
        if (model.get(name).isEmpty()) {
            assertThat(answer.status()).isEqualTo(404);
        } else if (whole.length == 0) {
            // Both are allowed, and stores differ.
            assertThat(answer.status()).isIn(200, 416);
        } else if (from >= whole.length) {
            assertThat(answer.status()).as(range).isEqualTo(416);
        } else {
            assertThat(answer.status()).as(range).isEqualTo(206);
            assertThat(Arrays.equals(answer.body(), Arrays.copyOfRange(whole, from, to)))
                    .as(range)
                    .isTrue();
            assertThat(answer.header("Content-Range")).contains("bytes %d-%d/%d".formatted(from, to - 1, whole.length));
        }
    }

    private void condition(String name) {
        Optional<String> tag = model.get(name).map(blob -> Blobstore.etag(blob.bytes()));
        boolean isThatTag = random.nextBoolean();
        String header = random.nextBoolean() ? "If-Match" : "If-None-Match";
        String value = isThatTag ? tag.orElse("*") : Blobstore.etag(new byte[] {1, 2, 3});

        int status = blobs.head(name, header, value).status();

        if (tag.isEmpty()) {
            assertThat(status).isIn(404, 412);
        } else if (header.equals("If-Match")) {
            assertThat(status).isEqualTo(isThatTag ? 200 : 412);
        } else {
            assertThat(status).isEqualTo(isThatTag ? 304 : 200);
        }
    }

    private void isAsInTheModel(String name) {
        Answer head = blobs.head(name);
        Answer read = blobs.read(name);
        Optional<Model.Blob> blob = model.get(name);
        assertThat(head.status()).isEqualTo(blob.isPresent() ? 200 : 404);
        assertThat(read.status()).isEqualTo(blob.isPresent() ? 200 : 404);
        if (blob.isPresent()) {
            byte[] bytes = blob.get().bytes();
            assertThat(Arrays.equals(read.body(), bytes)).isTrue();
            assertThat(head.header("Etag")).contains(Blobstore.etag(bytes));
            assertThat(head.header("Content-Length")).contains(Integer.toString(bytes.length));
            assertThat(head.header("Content-Type").orElse(""))
                    .isEqualTo(blob.get().type());
        }
    }

    private void everythingIsAsInTheModel() {
        names.forEach(this::isAsInTheModel);
        for (String directory : names) {
            assertThat(blobs.list(directory)).isEqualTo(model.children(directory));
        }
        assertThat(blobs.list(FOLDER)).isEqualTo(model.children(FOLDER));
        assertThat(blobs.list("/")).isEqualTo(model.children(""));
    }

    private byte[] bytes() {
        byte[] bytes = new byte[random.nextInt(4) == 0 ? SIZES[random.nextInt(SIZES.length)] : random.nextInt(3_000)];
        random.nextBytes(bytes);
        return bytes;
    }
}
