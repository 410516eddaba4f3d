//! What a file is, told by its first bytes and not by its name.

use image::ImageFormat;

/// How many of the first bytes [`Kind::of`] and [`other`] look at.
pub(crate) const START: usize = 32;

/// A format that pictures are read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// PNG, of APNG the first frame.
    Png,
    /// JPEG.
    Jpeg,
    /// WebP, of moving ones the first frame.
    WebP,
    /// Windows bitmap.
    Bmp,
    /// GIF, the first frame.
    Gif,
    /// TIFF, the first page.
    Tiff,
    /// QOI.
    Qoi,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 7] =
        [Kind::Png, Kind::Jpeg, Kind::WebP, Kind::Bmp, Kind::Gif, Kind::Tiff, Kind::Qoi];

    /// The format of a file that starts like this, if it is a picture that can be read.
    pub fn of(start: &[u8]) -> Option<Kind> {
        let at =
            |offset: usize, magic: &[u8]| start.get(offset..).is_some_and(|rest| rest.starts_with(magic));
        // "BM" alone also begins texts: the length of the header that follows is one of a few.
        let bitmap = || {
            let header =
                start.get(14..18).map(|bytes| u32::from_le_bytes(bytes.try_into().expect("4 bytes")));
            at(0, b"BM") && header.is_some_and(|len| [12, 16, 40, 52, 56, 64, 108, 124].contains(&len))
        };
        Some(match () {
            () if at(0, b"\x89PNG\r\n\x1a\n") => Kind::Png,
            () if at(0, b"\xff\xd8\xff") => Kind::Jpeg,
            () if at(0, b"RIFF") && at(8, b"WEBP") => Kind::WebP,
            () if at(0, b"GIF87a") || at(0, b"GIF89a") => Kind::Gif,
            () if at(0, b"II*\0") || at(0, b"MM\0*") => Kind::Tiff,
            () if at(0, b"qoif") => Kind::Qoi,
            () if bitmap() => Kind::Bmp,
            () => return None,
        })
    }

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Png => "PNG",
            Kind::Jpeg => "JPEG",
            Kind::WebP => "WebP",
            Kind::Bmp => "BMP",
            Kind::Gif => "GIF",
            Kind::Tiff => "TIFF",
            Kind::Qoi => "QOI",
        }
    }

    pub(crate) fn format(self) -> ImageFormat {
        match self {
            Kind::Png => ImageFormat::Png,
            Kind::Jpeg => ImageFormat::Jpeg,
            Kind::WebP => ImageFormat::WebP,
            Kind::Bmp => ImageFormat::Bmp,
            Kind::Gif => ImageFormat::Gif,
            Kind::Tiff => ImageFormat::Tiff,
            Kind::Qoi => ImageFormat::Qoi,
        }
    }
}

/// What a file is that starts like this and is no picture that can be read, where that can be told.
pub(crate) fn other(start: &[u8]) -> Option<&'static str> {
    let at = |offset: usize, magic: &[u8]| start.get(offset..).is_some_and(|rest| rest.starts_with(magic));
    let text = start.trim_ascii_start().to_ascii_lowercase();
    Some(match () {
        () if at(4, b"ftypavi") => "AVIF",
        () if at(4, b"ftyphei") || at(4, b"ftyphev") || at(4, b"ftypmif1") => "HEIF",
        () if at(4, b"ftyp") => "a film",
        () if at(0, b"\xff\x0a") || at(0, b"\0\0\0\x0cJXL ") => "JPEG XL",
        () if at(0, b"\0\0\0\x0cjP  ") => "JPEG 2000",
        () if at(0, b"8BPS") => "Photoshop",
        () if at(0, b"\0\0\x01\0") => "an icon",
        () if at(0, b"II+\0") || at(0, b"MM\0+") => "BigTIFF",
        () if at(0, b"PK\x03\x04") => "a zip archive",
        () if at(0, b"\x1f\x8b") => "packed by gzip",
        () if at(0, b"\x93NUMPY") => "a NumPy array",
        () if at(0, b"%PDF") => "PDF",
        () if text.starts_with(b"<!doctype html") || text.starts_with(b"<html") => "a web page",
        () if text.starts_with(b"<svg") => "SVG",
        () if text.starts_with(b"<?xml") => "XML",
        () => return None,
    })
}

/// Whether a name ends as those of pictures do, read or not: what such a file lacks is worth telling.
pub(crate) fn names_a_picture(name: &str) -> bool {
    const ENDINGS: [&str; 21] = [
        "png", "apng", "jpg", "jpeg", "jfif", "jpe", "webp", "bmp", "dib", "gif", "tif", "tiff", "qoi",
        "avif", "heic", "heif", "jxl", "jp2", "psd", "svg", "ico",
    ];
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell() {
        for (start, kind) in [
            (&b"\x89PNG\r\n\x1a\n\0\0"[..], Some(Kind::Png)),
            (b"\xff\xd8\xff\xe0", Some(Kind::Jpeg)),
            (b"RIFF\x10\0\0\0WEBPVP8 ", Some(Kind::WebP)),
            (b"RIFF\x10\0\0\0WAVEfmt ", None),
            (b"BM\0\0\0\0\0\0\0\0\0\0\0\0\x28\0\0\0", Some(Kind::Bmp)),
            (b"BMW and other cars of the year", None),
            (b"GIF89a", Some(Kind::Gif)),
            (b"MM\0*\0\0\0\x08", Some(Kind::Tiff)),
            (b"qoif\0\0", Some(Kind::Qoi)),
            (b"", None),
        ] {
            assert_eq!(Kind::of(start), kind, "{start:?}");
        }
        assert_eq!(other(b"\0\0\0\x20ftypavif"), Some("AVIF"));
        assert_eq!(other(b"\n <!DOCTYPE HTML><p>"), Some("a web page"));
        assert_eq!(other(b"collected in spring"), None);
        assert!(names_a_picture("a/b.JFIF") && !names_a_picture("png") && !names_a_picture("notes.txt"));
    }
}
