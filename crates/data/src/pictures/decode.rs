//! From the bytes of a file to the pixels of a picture.

use std::io::{BufRead, Cursor, Seek};

use image::{ColorType, DynamicImage, ImageDecoder, ImageError, ImageReader};

use super::fault::{Fault, Reason};
use super::gif;
use super::kind::{self, Kind};

/// The most bytes that a decoded picture may take, and a file.
pub(crate) const LARGEST: u64 = 256 << 20;

/// What a picture says of itself before it is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The format.
    pub kind: Kind,
    /// Columns of pixels, as it is to be shown.
    pub width: u32,
    /// Rows of pixels.
    pub height: u32,
    /// 1 grey, 2 grey and alpha, 3 colour, 4 colour and alpha.
    pub channels: u8,
    /// More than 8 bits a sample.
    pub deep: bool,
}

impl Header {
    /// The bytes that its pixels take.
    pub(crate) fn bytes(&self) -> u64 {
        let sample = if self.deep { 2 } else { 1 };
        u64::from(self.width) * u64::from(self.height) * u64::from(self.channels) * sample
    }
}

/// The format of a file that starts like this.
pub(crate) fn kind_of(start: &[u8]) -> Result<Kind, Fault> {
    if start.is_empty() {
        return Err(Fault::new(Reason::Empty, "is empty"));
    }
    Kind::of(start).ok_or_else(|| {
        let known = Kind::ALL.map(Kind::name).join(", ");
        let what = match kind::other(start) {
            Some(what) => format!("it is {what}; {known} are read"),
            None => format!("it starts like none of {known}"),
        };
        Fault::new(Reason::NotAPicture, format!("is no picture that can be read: {what}"))
    })
}

/// What pictures are read from. Decoders are generic in it: behind a pointer they are compiled once.
trait Readable: BufRead + Seek {}

impl<R: BufRead + Seek> Readable for R {}

fn decoder<'a>(reader: &'a mut dyn Readable, kind: Kind) -> Result<impl ImageDecoder + 'a, Fault> {
    ImageReader::with_format(reader, kind.format()).into_decoder().map_err(fault)
}

/// What a picture says of itself. `reader` stands at its start; of a JPEG a first part that holds the header will do.
pub(crate) fn header(mut reader: impl BufRead + Seek, kind: Kind) -> Result<Header, Fault> {
    let mut decoder = decoder(&mut reader, kind)?;
    let ((mut width, mut height), color) = (decoder.dimensions(), decoder.color_type());
    if width == 0 || height == 0 {
        return Err(Fault::new(Reason::Damaged, format!("is damaged: it has {width}x{height} pixels")));
    }
    let bytes = decoder.total_bytes();
    if bytes > LARGEST {
        return Err(Fault::new(
            Reason::TooLarge,
            format!("is too large: its {width}x{height} pixels take {bytes} bytes, the most is {LARGEST}"),
        ));
    }
    use image::metadata::Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    if let Ok(Rotate90 | Rotate90FlipH | Rotate270 | Rotate270FlipH) = decoder.orientation() {
        (width, height) = (height, width);
    }
    let deep = matches!(color, ColorType::L16 | ColorType::La16 | ColorType::Rgb16 | ColorType::Rgba16);
    Ok(Header { kind, width, height, channels: color.channel_count(), deep })
}

/// Decodes the first frame of a picture, turned as its EXIF data say.
pub(crate) fn decode(bytes: &[u8]) -> Result<DynamicImage, Fault> {
    let kind = kind_of(&bytes[..bytes.len().min(kind::START)])?;
    // Who decodes a JPEG that is cut off gets grey for what is missing.
    if kind == Kind::Jpeg && !jpeg_is_whole(bytes) {
        return Err(Fault::new(Reason::CutOff, "is cut off: a JPEG without its end"));
    }
    header(Cursor::new(bytes), kind)?;
    let result = decode_as(bytes, kind);
    if kind == Kind::Gif
        && result.is_err()
        && let Some(bytes) = gif::with_room(bytes)
        && let Ok(image) = decode_as(&bytes, kind)
    {
        return Ok(image);
    }
    result
}

fn decode_as(bytes: &[u8], kind: Kind) -> Result<DynamicImage, Fault> {
    let mut reader = Cursor::new(bytes);
    let mut decoder = decoder(&mut reader, kind)?;
    let orientation = decoder.orientation().map_err(fault)?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(fault)?;
    image.apply_orientation(orientation);
    Ok(image)
}

/// What is wrong with a file that a decoder gives up.
fn fault(error: ImageError) -> Fault {
    let text = error.to_string().to_lowercase();
    let ended = matches!(&error, ImageError::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof)
        || [
            "unexpected end",
            "failed to fill whole buffer",
            "end of file",
            "unexpected eof",
            "exhausted data",
        ]
        .iter()
        .any(|words| text.contains(words));
    match error {
        // Most decoders put words of their own around it.
        ImageError::Decoding(_) if text.ends_with("unexpected end of file") => {
            Fault::new(Reason::CutOff, "is cut off: unexpected end of file")
        }
        _ if ended => Fault::new(Reason::CutOff, format!("is cut off: {error}")),
        ImageError::Limits(_) => Fault::new(Reason::TooLarge, format!("is too large: {error}")),
        ImageError::Unsupported(_) => {
            Fault::new(Reason::NotAPicture, format!("is no picture that can be read: {error}"))
        }
        _ => Fault::new(Reason::Damaged, format!("is damaged: {error}")),
    }
}

/// Checks what can be checked of a whole file without decoding it: that a PNG has all its chunks with the checksums
/// that they should have, and a JPEG its end.
pub(crate) fn check_whole(bytes: &[u8], kind: Kind) -> Result<(), Fault> {
    match kind {
        Kind::Png => check_png(bytes),
        Kind::Jpeg if !jpeg_is_whole(bytes) => {
            Err(Fault::new(Reason::CutOff, "is cut off: a JPEG without its end"))
        }
        _ => Ok(()),
    }
}

/// Checks the last bytes of a file that is too large to be read whole.
pub(crate) fn check_end(end: &[u8], kind: Kind) -> Result<(), Fault> {
    let has = |what: &[u8]| end.windows(what.len()).any(|window| window == what);
    match kind {
        Kind::Png if !has(b"IEND") => Err(Fault::new(Reason::CutOff, "is cut off: a PNG without its end")),
        Kind::Jpeg if !has(b"\xff\xd9") => {
            Err(Fault::new(Reason::CutOff, "is cut off: a JPEG without its end"))
        }
        _ => Ok(()),
    }
}

fn check_png(bytes: &[u8]) -> Result<(), Fault> {
    let cut = || Fault::new(Reason::CutOff, "is cut off: a PNG without its end");
    let mut rest = bytes.get(8..).ok_or_else(cut)?;
    loop {
        let (len, body) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
        let len = u32::from_be_bytes(*len) as usize;
        let (chunk, after) = body.split_at_checked(len.saturating_add(4)).ok_or_else(cut)?;
        let (crc, after) = after.split_first_chunk::<4>().ok_or_else(cut)?;
        let mut sum = flate2::Crc::new();
        sum.update(chunk);
        // As the decoder does, a wrong checksum is forgiven where pixels do not depend on it: small letters.
        if chunk[0].is_ascii_uppercase() && sum.sum() != u32::from_be_bytes(*crc) {
            return Err(Fault::new(Reason::Damaged, "is damaged: the checksum of a PNG chunk is wrong"));
        }
        if chunk.starts_with(b"IEND") {
            return Ok(());
        }
        rest = after;
    }
}

/// Whether a JPEG goes on to its end-of-image marker (ITU-T T.81, Annex B). The markers of a thumbnail inside its
/// header do not count.
fn jpeg_is_whole(bytes: &[u8]) -> bool {
    let mut rest = match bytes.get(2..) {
        Some(rest) => rest,
        None => return false,
    };
    loop {
        // The next marker; before it lie fill bytes or the coded pixels of a scan, in which FF is followed by 00.
        let Some(at) = rest.iter().position(|&byte| byte == 0xff) else { return false };
        rest = &rest[at + 1..];
        match rest.first() {
            None => return false,
            // Fill bytes, an FF of the pixels, restarts and others that stand alone.
            Some(0xff) => {}
            Some(0x00 | 0x01 | 0xd0..=0xd8) => rest = &rest[1..],
            Some(0xd9) => return true,
            Some(_) => {
                let Some(len) = rest.get(1..3).map(|len| usize::from(u16::from_be_bytes([len[0], len[1]])))
                else {
                    return false;
                };
                let Some(after) = rest.get(1 + len.max(2)..) else { return false };
                rest = after;
            }
        }
    }
}

/// The least and the greatest level of a picture of more than 8 bits.
pub(crate) fn levels(image: &DynamicImage) -> Option<(u16, u16)> {
    /// Of the samples that are colours: alpha has a range of its own.
    fn range<const N: usize, const COLOURS: usize>(samples: &[u16]) -> Option<(u16, u16)> {
        let colours = samples.chunks_exact(N).flat_map(|pixel| &pixel[..COLOURS]);
        colours.fold(None, |range, &level| {
            let (low, high) = range.unwrap_or((level, level));
            Some((low.min(level), high.max(level)))
        })
    }
    match image {
        DynamicImage::ImageLuma16(image) => range::<1, 1>(image),
        DynamicImage::ImageLumaA16(image) => range::<2, 1>(image),
        DynamicImage::ImageRgb16(image) => range::<3, 3>(image),
        DynamicImage::ImageRgba16(image) => range::<4, 3>(image),
        _ => None,
    }
}

/// Which levels of 16-bit pictures become black and white.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Levels {
    low: u16,
    high: u16,
}

impl Default for Levels {
    fn default() -> Self {
        Levels { low: 0, high: u16::MAX }
    }
}

impl Levels {
    /// For a set whose 16-bit pictures use these levels: those, where they are less than half of what there is, as
    /// scanners and cameras of 10, 12 or 14 bits leave it; otherwise all.
    pub fn of_set(low: u16, high: u16) -> Self {
        if low < high && high - low < 1 << 15 { Levels { low, high } } else { Levels::default() }
    }

    /// What is black and what is white.
    pub fn range(self) -> (u16, u16) {
        (self.low, self.high)
    }

    /// Whether all levels are taken as they are.
    pub fn is_full(self) -> bool {
        self == Levels::default()
    }

    /// Spreads the range over all 16 bits.
    fn spread(self, image: &mut DynamicImage) {
        if self.is_full() {
            return;
        }
        let range = u32::from(self.high - self.low);
        let spread = |level: &mut u16| {
            let above = u32::from(level.saturating_sub(self.low).min(self.high - self.low));
            *level = ((above * 65535 + range / 2) / range) as u16;
        };
        match image {
            DynamicImage::ImageLuma16(image) => image.iter_mut().for_each(spread),
            DynamicImage::ImageRgb16(image) => image.iter_mut().for_each(spread),
            DynamicImage::ImageLumaA16(image) => {
                image.chunks_exact_mut(2).for_each(|pixel| spread(&mut pixel[0]));
            }
            DynamicImage::ImageRgba16(image) => {
                image.chunks_exact_mut(4).for_each(|pixel| pixel[..3].iter_mut().for_each(spread));
            }
            _ => {}
        }
    }
}

/// A decoded picture as bytes, and its channels. Without `alpha` there are 1 or 3, white where it is transparent; with
/// it there are 4, colours multiplied by their alpha, so that what cannot be seen is black and averages are right.
pub(crate) fn to_bytes(mut image: DynamicImage, levels: Levels, alpha: bool) -> (Vec<u8>, usize) {
    levels.spread(&mut image);
    let color = image.color();
    if alpha {
        let mut pixels = image.into_rgba8().into_raw();
        for pixel in pixels.chunks_exact_mut(4) {
            let a = u32::from(pixel[3]);
            pixel[..3].iter_mut().for_each(|value| *value = ((u32::from(*value) * a + 127) / 255) as u8);
        }
        return (pixels, 4);
    }
    match (color.has_alpha(), color.has_color()) {
        (false, false) => (image.into_luma8().into_raw(), 1),
        (false, true) => (image.into_rgb8().into_raw(), 3),
        (true, has_color) => {
            let channels = if has_color { 3 } else { 1 };
            let rgba = image.into_rgba8();
            let mut pixels = Vec::with_capacity(rgba.len() / 4 * channels);
            for pixel in rgba.pixels() {
                let [r, g, b, alpha] = pixel.0.map(u32::from);
                let over_white = |value: u32| ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8;
                pixels.extend([r, g, b].into_iter().take(channels).map(over_white));
            }
            (pixels, channels)
        }
    }
}

#[cfg(test)]
mod tests {
    use image::{ExtendedColorType, ImageEncoder};
    use proptest::prelude::*;

    use super::*;

    /// A PNG of these samples.
    fn png(width: u32, height: u32, color: ExtendedColorType, samples: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let encoder = image::codecs::png::PngEncoder::new(&mut bytes);
        encoder.write_image(samples, width, height, color).unwrap();
        bytes
    }

    fn encoded(kind: Kind) -> Vec<u8> {
        let picture =
            image::RgbImage::from_fn(9, 6, |x, y| image::Rgb([200, (x * 20) as u8, (y * 40) as u8]));
        let mut bytes = Cursor::new(Vec::new());
        DynamicImage::ImageRgb8(picture).write_to(&mut bytes, kind.format()).unwrap();
        bytes.into_inner()
    }

    fn decoded(bytes: &[u8]) -> Result<(Vec<u8>, u32, u32, usize), Fault> {
        let image = decode(bytes)?;
        let (width, height) = (image.width(), image.height());
        let (pixels, channels) = to_bytes(image, Levels::default(), false);
        Ok((pixels, width, height, channels))
    }

    #[test]
    fn every_format_is_decoded() {
        for kind in Kind::ALL {
            let bytes = encoded(kind);
            assert_eq!(Kind::of(&bytes), Some(kind));
            let (pixels, width, height, channels) = decoded(&bytes).unwrap();
            assert_eq!((width, height, channels), (9, 6, 3), "{kind:?}");
            assert!(pixels[0].abs_diff(200) < 12 && pixels[1] < 20, "{kind:?}: {:?}", &pixels[..3]);
            let told = header(Cursor::new(&bytes), kind).unwrap();
            assert_eq!((told.width, told.height, told.kind), (9, 6, kind));
            assert!(!told.deep && told.channels >= 3);
        }
    }

    #[test]
    fn depths_and_transparency_become_bytes() {
        let of = |bytes: &[u8]| {
            let (pixels, .., channels) = decoded(bytes).unwrap();
            (pixels, channels)
        };
        let sixteen = png(2, 1, ExtendedColorType::L16, &[0xff, 0xff, 0x80, 0x80]);
        assert_eq!(of(&sixteen), (vec![255, 128], 1));
        let rgba = png(2, 1, ExtendedColorType::Rgba8, &[10, 20, 30, 255, 0, 0, 0, 0]);
        assert_eq!(of(&rgba), (vec![10, 20, 30, 255, 255, 255], 3));
        let la = png(2, 1, ExtendedColorType::La8, &[10, 255, 0, 128]);
        assert_eq!(of(&la), (vec![10, 127], 1));
        // With alpha, colours are multiplied by it.
        let rgba = png(1, 1, ExtendedColorType::Rgba8, &[255, 100, 0, 128]);
        assert_eq!(to_bytes(decode(&rgba).unwrap(), Levels::default(), true), (vec![128, 50, 0, 128], 4));
        assert_eq!(
            to_bytes(decode(&la).unwrap(), Levels::default(), true).0,
            [10, 10, 10, 255, 0, 0, 0, 128]
        );
    }

    #[test]
    fn the_levels_that_a_set_uses_are_spread() {
        let samples: Vec<u8> = [0u16, 4095, 2048].iter().flat_map(|level| level.to_ne_bytes()).collect();
        let image = decode(&png(3, 1, ExtendedColorType::L16, &samples)).unwrap();
        assert_eq!(levels(&image), Some((0, 4095)));
        assert_eq!(to_bytes(image.clone(), Levels::of_set(0, 4095), false).0, [0, 255, 128]);
        // A set that uses the upper half keeps what it has.
        assert!(Levels::of_set(0, 40_000).is_full() && Levels::of_set(7, 7).is_full());
        assert_eq!(to_bytes(image, Levels::of_set(0, 40_000), false).0, [0, 16, 8]);
    }

    #[test]
    fn what_is_no_picture_says_what_it_is() {
        // A header that claims 65,535 by 65,535 pixels of 8 bytes.
        let mut huge = png(1, 1, ExtendedColorType::Rgba16, &[0; 8]);
        huge[16..24].copy_from_slice(&[0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff]);
        let mut crc = flate2::Crc::new();
        crc.update(&huge[12..29]);
        huge[29..33].copy_from_slice(&crc.sum().to_be_bytes());
        for (bytes, reason, words) in [
            (&b""[..], Reason::Empty, "is empty"),
            (b"?", Reason::NotAPicture, "starts like none of PNG, JPEG, WebP"),
            (b"<html>not found</html>", Reason::NotAPicture, "it is a web page"),
            (b"\0\0\0\x20ftypavif\0\0\0\0", Reason::NotAPicture, "AVIF"),
            (&huge, Reason::TooLarge, "65535x65535"),
        ] {
            let fault = decoded(bytes).unwrap_err();
            assert_eq!(fault.reason, reason, "{fault}");
            assert!(fault.detail.contains(words), "{fault}");
        }
    }

    #[test]
    fn a_jpeg_without_its_end_is_refused_wherever_it_was_cut() {
        let whole = encoded(Kind::Jpeg);
        for end in 2..whole.len() {
            assert!(decode(&whole[..end]).is_err(), "{end}");
            // A download that had reserved its space.
            let mut padded = whole[..end].to_vec();
            padded.resize(whole.len() + 8, 0);
            if end < whole.len() - 2 {
                assert!(decode(&padded).is_err(), "{end}");
            }
        }
        // What follows the end does not matter, nor do fill bytes.
        let mut more = whole.clone();
        more.extend_from_slice(b"trailer");
        decode(&more).unwrap();
        // The end of a thumbnail inside the header is not that of the picture.
        let mut thumbnail = vec![0xff, 0xd8, 0xff, 0xe1, 0, 6, 0xff, 0xd9, 0, 0];
        thumbnail.extend_from_slice(&whole[2..whole.len() - 2]);
        assert_eq!(decode(&thumbnail).unwrap_err().reason, Reason::CutOff);
    }

    #[test]
    fn truncated_pictures_are_refused_or_complete() {
        for kind in Kind::ALL {
            let whole = encoded(kind);
            let pixels = decoded(&whole).unwrap();
            for end in 0..whole.len() {
                match decoded(&whole[..end]) {
                    // What lies behind the pixels may be missing.
                    Ok(other) if kind != Kind::Gif && kind != Kind::WebP => {
                        assert_eq!(other, pixels, "{kind:?} {end}")
                    }
                    Ok(_) => {}
                    Err(fault) => assert!(!fault.detail.contains('\n'), "{fault}"),
                }
            }
            assert!(decoded(&whole[..whole.len() / 2]).is_err(), "{kind:?}");
        }
        for kind in [Kind::Png, Kind::Jpeg] {
            let whole = encoded(kind);
            check_whole(&whole, kind).unwrap();
            check_end(&whole[whole.len().saturating_sub(100)..], kind).unwrap();
            for end in 8..whole.len() - 4 {
                assert_eq!(
                    check_whole(&whole[..end], kind).unwrap_err().reason,
                    Reason::CutOff,
                    "{kind:?} {end}"
                );
            }
        }
        let mut png = encoded(Kind::Png);
        let middle = png.len() / 2;
        png[middle] ^= 1;
        assert_eq!(check_whole(&png, Kind::Png).unwrap_err().reason, Reason::Damaged);
    }

    proptest! {
        #[test]
        fn mutated_pictures_never_panic(
            which in 0usize..Kind::ALL.len(),
            at: prop::sample::Index,
            value: u8,
            more: u8,
            end: prop::sample::Index,
        ) {
            let mut bytes = encoded(Kind::ALL[which]);
            let at = at.index(bytes.len());
            bytes[at] = value;
            let next = (at + 1) % bytes.len();
            bytes[next] ^= more;
            for bytes in [&bytes[..], &bytes[..end.index(bytes.len())]] {
                let _ = check_whole(bytes, Kind::ALL[which]);
                match decoded(bytes) {
                    Ok((pixels, width, height, channels)) => {
                        prop_assert_eq!(pixels.len(), width as usize * height as usize * channels);
                    }
                    Err(fault) => prop_assert!(!fault.detail.is_empty()),
                }
            }
        }
    }
}
