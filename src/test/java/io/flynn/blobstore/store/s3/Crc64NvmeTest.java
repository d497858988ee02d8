package io.flynn.blobstore.store.s3;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.HexFormat;
import java.util.Random;
import org.junit.jupiter.api.Test;

class Crc64NvmeTest {

    private static String hex(Crc64Nvme crc) {
        return HexFormat.of().formatHex(Base64.getDecoder().decode(Crc64Nvme.base64(crc.value())));
    }

    /** The check value of the catalogue of parametrised CRC algorithms. */
    @Test
    void theCheckValueIsRight() {
        Crc64Nvme crc = new Crc64Nvme();
        crc.update(ByteBuffer.wrap("123456789".getBytes(StandardCharsets.US_ASCII)));

        assertThat(hex(crc)).isEqualTo("ae8b14860a799888");
    }

    /** NVM Express NVM Command Set Specification, "64b CRC Test Cases": 4 KiB of zeros, and of ones. */
    @Test
    void theSpecificationsCasesAreRight() {
        byte[] ones = new byte[4096];
        java.util.Arrays.fill(ones, (byte) 0xFF);
        Crc64Nvme zeros = new Crc64Nvme();
        zeros.update(ByteBuffer.allocate(4096));
        Crc64Nvme allOnes = new Crc64Nvme();
        allOnes.update(ByteBuffer.wrap(ones));

        assertThat(hex(zeros)).isEqualTo("6482d367eb22b64e");
        assertThat(hex(allOnes)).isEqualTo("c0ddba7302eca3ac");
    }

    @Test
    void itIsTheSameInWhateverPiecesTheBytesCome() {
        byte[] bytes = new byte[10_000];
        Random random = new Random(1);
        random.nextBytes(bytes);
        Crc64Nvme whole = new Crc64Nvme();
        whole.update(ByteBuffer.wrap(bytes));
        Crc64Nvme pieces = new Crc64Nvme();
        ByteBuffer left = ByteBuffer.allocateDirect(bytes.length).put(bytes).flip();
        while (left.hasRemaining()) {
            int count = Math.min(left.remaining(), random.nextInt(100));
            pieces.update(left.slice(left.position(), count));
            left.position(left.position() + count);
        }

        assertThat(pieces.value()).isEqualTo(whole.value());
    }

    @Test
    void thatOfAWholeIsMadeOfThoseOfItsPieces() {
        byte[] bytes = new byte[10_000];
        Random random = new Random(2);
        random.nextBytes(bytes);
        for (int length : new int[] {0, 1, 7, 8, 9, 4096, 9_999, 10_000}) {
            long combined =
                    Crc64Nvme.combine(crc(bytes, 0, length), crc(bytes, length, 10_000 - length), 10_000 - length);
            assertThat(combined).as("%d bytes first", length).isEqualTo(crc(bytes, 0, 10_000));
        }
    }

    /** At once: they are reckoned at several places beside each other. */
    @Test
    void manyBytesGiveTheSameAtOnceAsOneByOne() {
        byte[] bytes = new byte[(1 << 18) + 13];
        new Random(3).nextBytes(bytes);
        for (int length : new int[] {
            (1 << 15) - 1, 1 << 15, (1 << 15) + 1, (1 << 16) - 1, 1 << 16, (1 << 16) + 1, 1 << 18, bytes.length
        }) {
            Crc64Nvme oneByOne = new Crc64Nvme();
            for (int at = 0; at < length; at++) {
                oneByOne.update(ByteBuffer.wrap(bytes, at, 1));
            }
            assertThat(crc(bytes, 0, length)).as("%d bytes", length).isEqualTo(oneByOne.value());
        }
    }

    /** 5 TiB of zeros are 10,000 parts of them: by way of the parts, and by doubling. */
    @Test
    void piecesMayBeAsLongAsObjectsCan() {
        long part = (5L << 40) / 10_000;
        long ofPart = ofZeros(part);
        long byParts = 0;
        for (int i = 0; i < 10_000; i++) {
            byParts = Crc64Nvme.combine(byParts, ofPart, part);
        }
        assertThat(byParts).isEqualTo(ofZeros(10_000 * part));
    }

    private static long ofZeros(long bytes) {
        long all = 0;
        long power = crc(new byte[1], 0, 1);
        for (long length = 1; length <= bytes; length *= 2) {
            if ((bytes & length) != 0) {
                all = Crc64Nvme.combine(all, power, length);
            }
            power = Crc64Nvme.combine(power, power, length);
        }
        return all;
    }

    private static long crc(byte[] bytes, int first, int length) {
        Crc64Nvme crc = new Crc64Nvme();
        crc.update(ByteBuffer.wrap(bytes, first, length));
        return crc.value();
    }
}
