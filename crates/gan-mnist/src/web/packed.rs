//! What a page carries beside its text, packed: `packed.js` is the other half.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::error::{Error, Result};

/// Digits of 6.5 bits: as many printable characters as can stand in a script element as they are, to 13 bits in two of them.
/// Base64 would take a twelfth more.
const BASE: u32 = 91;

/// Bytes as gzip, written in printable characters.
pub(super) fn packed(bytes: &[u8]) -> Result<String> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let packed = encoder.write_all(bytes).and_then(|()| encoder.finish()).map_err(Error::failure)?;
    Ok(text(&packed))
}

/// Bytes with those from `first` on, which are words of four, in four planes: all first bytes, then all second ones, and so
/// on. Signs and exponents of weights are alike, and packed by themselves they take less.
pub(super) fn planes(mut bytes: Vec<u8>, first: usize) -> Vec<u8> {
    let words = bytes.split_off(first);
    for plane in 0..4 {
        bytes.extend(words.as_chunks::<4>().0.iter().map(|word| word[plane]));
    }
    bytes
}

/// Bytes as text: their number in decimals and a colon, then two digits for each 13 bits, the lowest first.
fn text(bytes: &[u8]) -> String {
    let mut text = format!("{}:", bytes.len());
    text.reserve(bytes.len() * 16 / 13 + 2);
    let (mut bits, mut held) = (0u32, 0);
    let mut write = |bits: u32| text.extend([digit(bits / BASE), digit(bits % BASE)]);
    for &byte in bytes {
        bits |= u32::from(byte) << held;
        held += 8;
        if held >= 13 {
            write(bits & 0x1fff);
            bits >>= 13;
            held -= 13;
        }
    }
    if held > 0 {
        write(bits);
    }
    text
}

/// The printable characters but `&`, `<` and the backslash, in their order.
fn digit(value: u32) -> char {
    let skipped = [b'&', b'<', b'\\'];
    let character =
        skipped.iter().fold(b'!' + value as u8, |character, &skip| character + u8::from(character >= skip));
    char::from(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_what_a_script_element_holds() {
        let digits: String = (0..BASE).map(digit).collect();
        let expected: String = ('!'..='~').filter(|c| !"&<\\".contains(*c)).collect();
        assert_eq!(digits, expected);
    }

    /// Read back by the definition.
    #[test]
    fn text_holds_every_bit() {
        for len in 0..40 {
            let bytes: Vec<u8> = (0..len).map(|i| (i * 37 + 11) as u8 ^ 0xa5).collect();
            let written = text(&bytes);
            let (count, digits) = written.split_once(':').unwrap();
            assert_eq!(count, len.to_string());
            let value = |c: char| (0..BASE).find(|&value| digit(value) == c).unwrap();
            let digits: Vec<u32> = digits.chars().map(value).collect();
            let bits: Vec<u32> = digits
                .chunks(2)
                .flat_map(|pair| (0..13).map(move |i| (pair[0] * BASE + pair[1]) >> i & 1))
                .collect();
            let read: Vec<u8> = bits
                .chunks(8)
                .take(len)
                .map(|bits| bits.iter().rev().fold(0, |byte, bit| byte << 1 | *bit as u8))
                .collect();
            assert_eq!(read, bytes, "{len}");
            assert!(digits.len() <= 2 * (8 * len).div_ceil(13), "{len}");
        }
    }

    #[test]
    fn planes_hold_what_is_alike_together() {
        assert_eq!(planes(vec![9, 1, 2, 3, 4, 5, 6, 7, 8], 1), [9, 1, 5, 2, 6, 3, 7, 4, 8]);
    }
}
