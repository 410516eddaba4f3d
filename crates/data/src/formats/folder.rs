//! A folder of pictures: PNG, JPEG, WebP.

use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader};

use crate::error::{Error, Result};
use crate::fingerprint::Fingerprint;
use crate::image_shape::ImageShape;
use crate::images::{Images, Scratch};
use crate::split::Split;
use crate::stored::Stored;
use crate::transforms::AreaFilter;

/// What the names of pictures end in.
const EXTENSIONS: [&str; 4] = ["png", "jpg", "jpeg", "webp"];
/// The most bytes that a decoded picture may take, and a file.
const LARGEST: u64 = 256 << 20;
/// The most bytes of scaled pictures that are kept: what does not fit is decoded each time.
const KEPT: usize = 1 << 30;
/// Labels are bytes.
const MOST_CLASSES: usize = 256;
/// The pictures whose contents the fingerprint covers; of the others it takes names and lengths.
const SAMPLES: usize = 256;

/// Pictures that are decoded, cropped to the middle and scaled when they are asked for. What was scaled is kept while
/// there is room, so that a small set is decoded once.
#[derive(Debug)]
pub struct Folder {
    /// Each with its class.
    files: Vec<(PathBuf, u8)>,
    classes: Option<usize>,
    shape: ImageShape,
    kept: Vec<OnceLock<Box<[u8]>>>,
    room: AtomicUsize,
}

impl Images for Folder {
    fn len(&self) -> usize {
        self.files.len()
    }

    fn shape(&self) -> ImageShape {
        self.shape
    }

    fn classes(&self) -> Option<usize> {
        self.classes
    }

    fn read(&self, index: usize, pixels: &mut [u8], scratch: &mut Scratch) -> Result<u8> {
        let (path, class) = &self.files[index];
        if let Some(kept) = self.kept[index].get() {
            pixels.copy_from_slice(kept);
            return Ok(*class);
        }
        let (picture, shape) = decode(path)?;
        AreaFilter::new(shape, self.shape).apply(&picture, pixels, scratch);
        let fits = |room: usize| room.checked_sub(pixels.len());
        if self.room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok() {
            // Another thread may have been quicker with the same picture.
            let _ = self.kept[index].set(pixels.into());
        }
        Ok(*class)
    }

    fn is_slow(&self) -> bool {
        true
    }
}

/// Decodes the first frame of a picture to 8 bits per channel, 1 or 3 channels, turned as its EXIF data say, white
/// where it is transparent.
fn decode(path: &Path) -> Result<(Vec<u8>, ImageShape)> {
    let name = path.display();
    let mut file = BufReader::new(std::fs::File::open(path).map_err(|e| Error::cannot_read(path, &e))?);
    let len = file.get_ref().metadata().map_err(|e| Error::cannot_read(path, &e))?.len();
    if len > LARGEST {
        return Err(Error::failure(format!(
            "{name}: is {len} bytes long, the most for a picture is {LARGEST}"
        )));
    }
    if len == 0 {
        return Err(Error::failure(format!("{name}: is no picture that can be read: it is empty")));
    }
    let result = decode_from(&mut file);
    let image = result.map_err(|what| {
        let at = file.stream_position().unwrap_or_default();
        Error::failure(format!("{name}: is no picture that can be read: {what} (offset {at} of {len} bytes)"))
    })?;
    let (width, height) = (image.width() as usize, image.height() as usize);
    let shape = |channels| ImageShape { height, width, channels };
    let color = image.color();
    Ok(match (color.has_alpha(), color.has_color()) {
        (false, false) => (image.into_luma8().into_raw(), shape(1)),
        (false, true) => (image.into_rgb8().into_raw(), shape(3)),
        (true, has_color) => {
            let channels = if has_color { 3 } else { 1 };
            let rgba = image.into_rgba8();
            let mut pixels = Vec::with_capacity(width * height * channels);
            for pixel in rgba.pixels() {
                let [r, g, b, alpha] = pixel.0.map(u32::from);
                let over_white = |value: u32| ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8;
                pixels.extend([r, g, b].into_iter().take(channels).map(over_white));
            }
            (pixels, shape(channels))
        }
    })
}

fn decode_from<R: std::io::BufRead + Seek>(file: R) -> std::result::Result<DynamicImage, String> {
    let text = |e: &dyn std::fmt::Display| e.to_string().lines().collect::<Vec<_>>().join(" ");
    let reader = ImageReader::new(file).with_guessed_format().map_err(|e| text(&e))?;
    if !matches!(reader.format(), Some(ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::WebP)) {
        return Err("it starts like none of PNG, JPEG and WebP".into());
    }
    let mut decoder = reader.into_decoder().map_err(|e| text(&e))?;
    let ((width, height), bytes) = (decoder.dimensions(), decoder.total_bytes());
    if width == 0 || height == 0 {
        return Err(format!("it has {width}x{height} pixels"));
    }
    if bytes > LARGEST {
        return Err(format!("its {width}x{height} pixels take {bytes} bytes, the most is {LARGEST}"));
    }
    let orientation = decoder.orientation().map_err(|e| text(&e))?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(|e| text(&e))?;
    image.apply_orientation(orientation);
    Ok(image)
}

/// The pictures and the folders in a folder, by name, without hidden ones.
fn list(folder: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let (mut pictures, mut folders) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(folder).map_err(|e| Error::cannot_read(folder, &e))? {
        let path = entry.map_err(|e| Error::cannot_read(folder, &e))?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        let known =
            |ending: &std::ffi::OsStr| EXTENSIONS.iter().any(|known| ending.eq_ignore_ascii_case(known));
        if hidden {
            continue;
        } else if path.is_dir() {
            folders.push(path);
        } else if path.extension().is_some_and(known) {
            pictures.push(path);
        }
    }
    pictures.sort();
    folders.sort();
    Ok((pictures, folders))
}

/// Pictures with their classes, and how many classes there are.
type Found = (Vec<(PathBuf, u8)>, Option<usize>);

/// The pictures of one part, each with its class, and how many classes there are. A folder has parts where it has
/// folders `train` and `test`, and classes where pictures are not in it but in folders in it. Nothing where there are no
/// pictures.
fn find(folder: &Path, split: Split) -> Result<Option<Found>> {
    let name = folder.display();
    let (pictures, folders) = list(folder)?;
    if pictures.is_empty() {
        let train = folder.join("train");
        if train.is_dir() {
            let part = if split == Split::Train { train } else { folder.join("test") };
            return if part.is_dir() { find_classes(&part) } else { Ok(None) };
        }
    }
    if split == Split::Test {
        return Ok(None);
    }
    if !pictures.is_empty() && !folders.is_empty() {
        for folder in folders {
            if !list(&folder)?.0.is_empty() {
                return Err(Error::failure(format!(
                    "{name}: has pictures and, in {}, more: put all into folders, one for each class, or none",
                    folder.display()
                )));
            }
        }
    }
    find_classes(folder)
}

fn find_classes(folder: &Path) -> Result<Option<Found>> {
    let (pictures, folders) = list(folder)?;
    if !pictures.is_empty() {
        return Ok(Some((pictures.into_iter().map(|path| (path, 0)).collect(), None)));
    }
    let (mut files, mut classes) = (Vec::new(), 0);
    for class in folders {
        let (pictures, _) = list(&class)?;
        if pictures.is_empty() {
            continue;
        }
        let label = u8::try_from(classes).map_err(|_| {
            let name = folder.display();
            Error::failure(format!(
                "{name}: has more than {MOST_CLASSES} folders, which are taken for classes"
            ))
        })?;
        files.extend(pictures.into_iter().map(|path| (path, label)));
        classes += 1;
    }
    Ok((!files.is_empty()).then_some((files, Some(classes))))
}

/// Opens the pictures in a folder in the shape that `target` chooses for pictures like the first. Nothing where there
/// are none.
pub(crate) fn open(
    folder: &Path,
    split: Split,
    target: impl Fn(ImageShape) -> ImageShape,
) -> Result<Option<Stored>> {
    let Some((files, classes)) = find(folder, split)? else { return Ok(None) };
    let (_, first) = decode(&files[0].0)?;
    let mut fingerprint = Fingerprint::default();
    let step = files.len().div_ceil(SAMPLES);
    for (n, (path, class)) in files.iter().enumerate() {
        let mut file = std::fs::File::open(path).map_err(|e| Error::cannot_read(path, &e))?;
        let len = file.metadata().map_err(|e| Error::cannot_read(path, &e))?.len();
        fingerprint.text(path.strip_prefix(folder).unwrap_or(path).to_string_lossy().replace('\\', "/"));
        fingerprint.text(format!("{class} {len}"));
        if n.is_multiple_of(step) {
            fingerprint
                .part(len, |offset, bytes| {
                    file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_exact(bytes))
                })
                .map_err(|e| Error::cannot_read(path, &e))?;
        }
    }
    let kept = files.iter().map(|_| OnceLock::new()).collect();
    let folder = Folder { files, classes, shape: target(first), kept, room: AtomicUsize::new(KEPT) };
    Ok(Some(Stored { images: Arc::new(folder), sha256: fingerprint.finish() }))
}

#[cfg(test)]
mod tests {
    use std::fs;

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

    fn grey(width: u32, height: u32, level: u8) -> Vec<u8> {
        png(width, height, ExtendedColorType::L8, &vec![level; (width * height) as usize])
    }

    fn encoded(format: ImageFormat) -> Vec<u8> {
        let picture =
            image::RgbImage::from_fn(9, 6, |x, y| image::Rgb([200, (x * 20) as u8, (y * 40) as u8]));
        let mut bytes = std::io::Cursor::new(Vec::new());
        DynamicImage::ImageRgb8(picture).write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    /// Decodes bytes as a file with this name.
    fn decoded(name: &str, bytes: &[u8]) -> std::result::Result<(Vec<u8>, ImageShape), String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        decode(&path).map_err(|e| e.to_string())
    }

    fn opened(folder: &Path, split: Split) -> Option<Arc<dyn Images>> {
        open(folder, split, |native| native).unwrap().map(|stored| stored.images)
    }

    #[test]
    fn every_format_is_decoded_whatever_it_is_called() {
        for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP] {
            let (pixels, shape) = decoded("x.png", &encoded(format)).unwrap();
            assert_eq!(shape, ImageShape { height: 6, width: 9, channels: 3 });
            assert!(pixels[0].abs_diff(200) < 12 && pixels[1] < 20, "{format:?}: {:?}", &pixels[..3]);
        }
    }

    #[test]
    fn depths_and_transparency_become_bytes() {
        let shape = |channels| ImageShape { height: 1, width: 2, channels };
        let sixteen = png(2, 1, ExtendedColorType::L16, &[0xff, 0xff, 0x80, 0x80]);
        assert_eq!(decoded("x.png", &sixteen).unwrap(), (vec![255, 128], shape(1)));
        let alpha = png(2, 1, ExtendedColorType::Rgba8, &[10, 20, 30, 255, 0, 0, 0, 0]);
        assert_eq!(decoded("x.png", &alpha).unwrap(), (vec![10, 20, 30, 255, 255, 255], shape(3)));
        let alpha = png(2, 1, ExtendedColorType::La8, &[10, 255, 0, 128]);
        assert_eq!(decoded("x.png", &alpha).unwrap(), (vec![10, 127], shape(1)));
        assert_eq!(decoded("x.png", &grey(1, 1, 9)).unwrap().0, [9]);
    }

    #[test]
    fn what_is_no_picture_is_named_with_the_offset() {
        // A header that claims 65,535 by 65,535 pixels of 8 bytes.
        let mut huge = png(1, 1, ExtendedColorType::Rgba16, &[0; 8]);
        huge[16..24].copy_from_slice(&[0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff]);
        let checksum = {
            let mut crc = flate2::Crc::new();
            crc.update(&huge[12..29]);
            crc.sum().to_be_bytes()
        };
        huge[29..33].copy_from_slice(&checksum);
        let page = b"<html>not found</html>";
        for (bytes, complaint) in [
            (&b"?"[..], "starts like none of PNG, JPEG and WebP"),
            (page, "starts like none of PNG, JPEG and WebP"),
            (&b"GIF89a\x01\0\x01\0\0\0\0"[..], "none of PNG, JPEG and WebP"),
            (&huge, "65535x65535"),
        ] {
            let message = decoded("x.png", bytes).unwrap_err();
            assert!(message.contains("x.png: is no picture that can be read"), "{message}");
            assert!(message.contains("(offset ") && message.contains(complaint), "{message}");
        }
        assert!(
            decoded("x.png", b"")
                .unwrap_err()
                .ends_with("x.png: is no picture that can be read: it is empty")
        );
    }

    #[test]
    fn truncated_pictures_are_refused_or_complete() {
        for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP] {
            let whole = encoded(format);
            for end in 0..whole.len() {
                if let Err(message) = decoded("x.png", &whole[..end]) {
                    assert!(message.contains("x.png: is no picture") && !message.contains('\n'), "{message}");
                }
            }
            assert!(decoded("x.png", &whole[..whole.len() / 2]).is_err() || format == ImageFormat::Jpeg);
        }
    }

    proptest! {
        #[test]
        fn mutated_pictures_never_panic(which in 0usize..3, at: prop::sample::Index, value: u8, more: u8) {
            let formats = [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP];
            let mut bytes = encoded(formats[which]);
            let at = at.index(bytes.len());
            bytes[at] = value;
            let next = (at + 1) % bytes.len();
            bytes[next] ^= more;
            match decoded("x.png", &bytes) {
                Ok((pixels, shape)) => prop_assert_eq!(pixels.len(), shape.len()),
                Err(message) => prop_assert!(message.contains("x.png: is no picture"), "{}", message),
            }
        }
    }

    #[test]
    fn folders_of_folders_have_classes_and_parts() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        };
        write("cats/b.PNG", &grey(4, 2, 20));
        write("cats/a.png", &grey(2, 2, 10));
        write("cats/notes.txt", b"no picture");
        write("dogs/a.jpg", &grey(2, 2, 30));
        write(".hidden/a.png", b"");
        write("empty/readme", b"");
        let images = opened(folder.path(), Split::Train).unwrap();
        assert_eq!((images.len(), images.classes()), (3, Some(2)));
        for _ in 0..2 {
            // The second time from memory.
            let read = |index| {
                let mut pixels = [0; 4];
                (images.read(index, &mut pixels, &mut Scratch::default()).unwrap(), pixels[0])
            };
            assert_eq!([read(0), read(1), read(2)], [(0, 10), (0, 20), (1, 30)]);
        }
        assert!(opened(folder.path(), Split::Test).is_none());

        let parts = tempfile::tempdir().unwrap();
        for (name, level) in [("train/x/1.png", 1), ("train/y/2.png", 2), ("test/x/3.png", 3)] {
            let path = parts.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, grey(1, 1, level)).unwrap();
        }
        let train = opened(parts.path(), Split::Train).unwrap();
        assert_eq!((train.len(), train.classes()), (2, Some(2)));
        assert_eq!(opened(parts.path(), Split::Test).unwrap().len(), 1);

        // Pictures beside class folders could mean either.
        write("stray.png", &grey(1, 1, 0));
        let message = open(folder.path(), Split::Train, |native| native).err().unwrap().to_string();
        assert!(message.contains("has pictures and, in") && message.contains("cats"), "{message}");
        assert!(opened(tempfile::tempdir().unwrap().path(), Split::Train).is_none());
    }

    #[test]
    fn a_changed_folder_has_another_fingerprint() {
        let folder = tempfile::tempdir().unwrap();
        let sha256 = || open(folder.path(), Split::Train, |native| native).unwrap().unwrap().sha256;
        fs::write(folder.path().join("a.png"), grey(1, 1, 1)).unwrap();
        let one = sha256();
        assert_eq!(sha256(), one);
        fs::write(folder.path().join("a.png"), grey(1, 1, 2)).unwrap();
        let other = sha256();
        assert_ne!(other, one);
        fs::rename(folder.path().join("a.png"), folder.path().join("b.png")).unwrap();
        assert_ne!(sha256(), other);
    }
}
