//! Cyclic redundancy checks of 32 bits, bits reflected: that of zip, and the Castagnoli one of TensorBoard's records.

/// A check by a table of 256 entries.
#[derive(Clone, Debug)]
pub struct Crc32 {
    table: [u32; 256],
}

/// The check of zip, gzip and PNG (ISO 3309).
pub static ZIP: Crc32 = Crc32::new(0xEDB8_8320);

/// The check of iSCSI (RFC 3720, appendix B.4), CRC-32C.
pub static CASTAGNOLI: Crc32 = Crc32::new(0x82F6_3B78);

impl Crc32 {
    /// The check with a generator polynomial whose bits are reflected.
    pub const fn new(polynomial: u32) -> Crc32 {
        let mut table = [0; 256];
        let mut byte = 0;
        while byte < 256 {
            let (mut remainder, mut bit) = (byte as u32, 0);
            while bit < 8 {
                remainder = (remainder >> 1) ^ (polynomial * (remainder & 1));
                bit += 1;
            }
            table[byte] = remainder;
            byte += 1;
        }
        Crc32 { table }
    }

    /// The check of `bytes`.
    pub fn of(&self, bytes: &[u8]) -> u32 {
        !bytes
            .iter()
            .fold(!0, |remainder, byte| self.table[(remainder as u8 ^ byte) as usize] ^ (remainder >> 8))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check value of the CRC catalogue, and the vectors of RFC 3720, appendix B.4.
    #[test]
    fn published_vectors_come_out() {
        assert_eq!(ZIP.of(b"123456789"), 0xCBF4_3926);
        assert_eq!(CASTAGNOLI.of(b"123456789"), 0xE306_9283);
        assert_eq!(CASTAGNOLI.of(&[0; 32]), 0x8A91_36AA);
        assert_eq!(CASTAGNOLI.of(&[0xFF; 32]), 0x62A8_AB43);
        let ascending: Vec<u8> = (0..32).collect();
        assert_eq!(CASTAGNOLI.of(&ascending), 0x46DD_794E);
        assert_eq!((ZIP.of(b""), CASTAGNOLI.of(b"")), (0, 0));
    }
}
