//! GIFs whose last pixels the decoder leaves out.
//!
//! The decoder of LZW codes (weezl 0.1) wants to look ahead: where the end code stands in the last byte of an image's data, it
//! may give up before the last pixels, and the file is called truncated though it is whole (image-rs/image-gif#208). Bytes
//! behind the end code mean nothing, so a few more of them help.

/// Bytes that are put behind the data: as many as a step of the decoder looks ahead.
const ROOM: [u8; 5] = [4, 0, 0, 0, 0];

/// The same GIF with bytes behind the data of its first image; nothing where its blocks are not whole.
pub(super) fn with_room(gif: &[u8]) -> Option<Vec<u8>> {
    let flags = *gif.get(10)?;
    let mut at = 13 + colours(flags);
    // Extensions come before the image: two bytes and their data.
    while *gif.get(at)? == 0x21 {
        at = 1 + end_of_blocks(gif, at + 2)?;
    }
    if *gif.get(at)? != 0x2c {
        return None;
    }
    let flags = *gif.get(at + 9)?;
    // Behind the colours stands the size of the codes.
    let end = end_of_blocks(gif, at + 11 + colours(flags))?;
    let (data, rest) = gif.split_at_checked(end)?;
    Some([data, &ROOM, rest].concat())
}

/// The bytes of the colours that these flags announce.
fn colours(flags: u8) -> usize {
    if flags & 0x80 == 0 { 0 } else { 3 * (2 << (flags & 7)) }
}

/// Where the empty block stands that ends the blocks from `at` on.
fn end_of_blocks(gif: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *gif.get(at)? {
            0 => return Some(at),
            length => at += 1 + usize::from(length),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::decode::decode;
    use super::*;

    /// A disc on a ground, 40 x 40, as Pillow packed it. All of its 1600 pixels are there.
    const WHOLE: [u8; 158] = [
        0x47, 0x49, 0x46, 0x38, 0x37, 0x61, 0x28, 0x00, 0x28, 0x00, 0x81, 0x00, 0x00, 0xba, 0x91, 0xcb, 0x5c,
        0x57, 0x64, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x2c, 0x00, 0x00, 0x00, 0x00, 0x28, 0x00, 0x28, 0x00,
        0x40, 0x08, 0x77, 0x00, 0x03, 0x08, 0x1c, 0x48, 0xb0, 0xa0, 0xc1, 0x83, 0x08, 0x13, 0x22, 0x04, 0xc0,
        0xb0, 0xa1, 0xc3, 0x87, 0x0e, 0x15, 0x4a, 0x84, 0x48, 0x11, 0xa2, 0xc4, 0x8b, 0x18, 0x33, 0x6a, 0xdc,
        0xc8, 0xd1, 0x60, 0xc5, 0x87, 0x1d, 0x0b, 0x7e, 0x1c, 0xc9, 0x30, 0x24, 0x41, 0x92, 0x25, 0x4d, 0xaa,
        0x5c, 0xc9, 0x92, 0x25, 0xc5, 0x96, 0x27, 0x51, 0x46, 0x34, 0x29, 0xb3, 0x62, 0xc8, 0x9a, 0x2f, 0x69,
        0xe2, 0x04, 0x00, 0x73, 0x60, 0xce, 0x9e, 0x40, 0x83, 0x0a, 0x1d, 0x4a, 0xb4, 0x68, 0x4f, 0x92, 0x40,
        0x71, 0xba, 0xdc, 0x99, 0xb2, 0x23, 0xd3, 0x99, 0x1c, 0x9f, 0x36, 0xbc, 0x29, 0x95, 0xa7, 0xd3, 0xaa,
        0x3a, 0x99, 0x2e, 0x95, 0x99, 0x74, 0xa4, 0xd1, 0xaf, 0x60, 0xc3, 0x8a, 0x1d, 0x4b, 0xb6, 0xac, 0x59,
        0xb2, 0x01, 0x01, 0x00, 0x3b,
    ];

    #[test]
    fn a_whole_gif_is_read_to_its_last_pixel() {
        let image = decode(&WHOLE).unwrap().into_rgb8();
        assert_eq!(image.dimensions(), (40, 40));
        assert_eq!((image.get_pixel(39, 39).0, image.get_pixel(20, 20).0), ([92, 87, 100], [186, 145, 203]));
    }

    #[test]
    fn what_is_cut_off_or_changed_is_an_error_or_a_picture() {
        for end in 0..WHOLE.len() - 3 {
            assert!(decode(&WHOLE[..end]).is_err(), "{end} bytes");
        }
        for at in 0..WHOLE.len() {
            for bit in 0..8 {
                let mut changed = WHOLE;
                changed[at] ^= 1 << bit;
                let _ = decode(&changed);
                let _ = with_room(&changed);
            }
        }
    }
}
