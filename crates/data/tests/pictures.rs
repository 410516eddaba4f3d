//! People's own pictures, as folders and archives of theirs look: each opens, says what it holds, and survives a file that
//! goes bad.

use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;

use gannet_data::pictures::{Kind, Manifest, Reason};
use gannet_data::transforms::Resize;
use gannet_data::{DataSet, Request, Silent, Source, Split};
use image::{DynamicImage, ExtendedColorType, ImageEncoder, ImageFormat, RgbImage};

/// A picture of one colour that follows from its number.
fn picture(n: u32, width: u32, height: u32) -> RgbImage {
    let of = |k: u32| (n * k % 200) as u8;
    RgbImage::from_fn(width, height, |x, _| {
        image::Rgb([of(37), of(11), if x % 2 == 0 { 250 } else { of(5) }])
    })
}

fn encoded(n: u32, (width, height): (u32, u32), format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(picture(n, width, height)).write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn png(n: u32) -> Vec<u8> {
    encoded(n, (40, 40), ImageFormat::Png)
}

/// A PNG of these samples.
fn png_of(width: u32, height: u32, color: ExtendedColorType, samples: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    image::codecs::png::PngEncoder::new(&mut bytes).write_image(samples, width, height, color).unwrap();
    bytes
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Folder(tempfile::tempdir().unwrap())
    }

    /// With so many PNGs, `0000.png` and on.
    fn plain(count: u32) -> Self {
        let folder = Folder::new();
        (0..count).for_each(|n| folder.write(&format!("{n:04}.png"), &png(n)));
        folder
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

fn request(path: &Path) -> Request {
    Request::new(Source::Path(path.to_path_buf()))
}

fn open(path: &Path) -> DataSet {
    request(path).open(Split::Train, None, &Silent).unwrap().unwrap()
}

fn refused(request: &Request) -> String {
    match request.open(Split::Train, None, &Silent) {
        Ok(_) => panic!("opened"),
        Err(error) => error.to_string(),
    }
}

/// The class and the first pixel of an image.
fn first_pixel(data: &DataSet, index: usize) -> (u32, Vec<u8>) {
    let mut pixels = vec![0; data.shape().len()];
    let class = data.images().read(index, &mut pixels, &mut Default::default()).unwrap();
    pixels.truncate(data.shape().channels);
    (class, pixels)
}

fn names(data: &DataSet) -> Vec<String> {
    data.manifest().unwrap().pictures.iter().map(|picture| picture.name.text()).collect()
}

fn left_out(data: &DataSet) -> Vec<(String, Reason)> {
    let left_out = &data.manifest().unwrap().left_out;
    left_out.iter().map(|file| (file.name.text(), file.found.as_ref().unwrap_err().reason)).collect()
}

fn class_names(data: &DataSet) -> String {
    data.record().class_names.join(" ")
}

#[test]
fn a_bad_file_is_left_out_named_and_counted() {
    let folder = Folder::plain(12);
    let half = png(12);
    folder.write("0012.png", &half[..half.len() / 2]);
    folder.write("0013.png", b"");
    folder.write("0014.jpg", b"<!DOCTYPE html><html><body>404 Not Found</body></html>");
    let jpeg = encoded(3, (200, 200), ImageFormat::Jpeg);
    folder.write("0015.jpg", &jpeg[..jpeg.len() * 2 / 3]);
    folder.write("0000.png", &png(0)[..60]);
    let mut damaged = png(5);
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0x55;
    folder.write("0016.png", &damaged);
    #[cfg(unix)]
    std::os::unix::fs::symlink("nowhere.png", folder.path().join("0017.png")).unwrap();
    let data = open(folder.path());
    assert_eq!(data.len(), 11);
    let mut expected = vec![
        ("0000.png".into(), Reason::CutOff),
        ("0012.png".into(), Reason::CutOff),
        ("0013.png".into(), Reason::Empty),
        ("0014.jpg".into(), Reason::NotAPicture),
        ("0015.jpg".into(), Reason::CutOff),
        ("0016.png".into(), Reason::Damaged),
    ];
    if cfg!(unix) {
        expected.push(("0017.png".into(), Reason::BrokenLink));
    }
    assert_eq!(left_out(&data), expected);
    let line = data.summary().unwrap().line();
    for words in
        ["11 pictures (PNG), 40x40, colour", "left out: 3 cut off, ", "1 empty", "0000.png is cut off", "..."]
    {
        assert!(line.contains(words), "{line}");
    }
    let lines = data.summary().unwrap().lines().join("\n");
    assert!(lines.contains("0014.jpg is no picture that can be read: it is a web page"), "{lines}");
    // Whoever wants the end can have it.
    let message = refused(&Request { strict: true, ..request(folder.path()) });
    assert!(message.contains("0000.png: is cut off") && message.contains("more files"), "{message}");
}

#[test]
fn a_set_without_a_good_picture_is_an_error_with_the_reasons() {
    let folder = Folder::new();
    folder.write("a.png", b"");
    folder.write("b.jpg", b"<html>");
    let message = refused(&request(folder.path()));
    for words in ["none of 2 files can be used", "1 empty", "1 no picture", "a.png"] {
        assert!(message.contains(words), "{message}");
    }
    let folder = Folder::new();
    folder.write("notes.txt", b"nothing here");
    assert!(refused(&request(folder.path())).contains("has no images: expected pictures (PNG, JPEG"));
}

#[test]
fn content_and_not_the_name_tells_what_a_file_is() {
    let folder = Folder::new();
    for (name, format) in [
        ("a.png", ImageFormat::Png),
        ("b.jpg", ImageFormat::Png),
        ("c.jpg", ImageFormat::Gif),
        ("d.jfif", ImageFormat::Jpeg),
        ("e.jpe", ImageFormat::Jpeg),
        ("f.JPEG", ImageFormat::Jpeg),
        ("g.bmp", ImageFormat::Bmp),
        ("h.tif", ImageFormat::Tiff),
        ("i.webp", ImageFormat::WebP),
        ("j.qoi", ImageFormat::Qoi),
        ("without_an_ending", ImageFormat::Png),
    ] {
        folder.write(name, &encoded(1, (12, 12), format));
    }
    folder.write("z.avif", b"\0\0\0\x20ftypavif\0\0\0\0avifmif1miaf");
    let data = open(folder.path());
    assert_eq!(data.len(), 11);
    assert_eq!(left_out(&data), [("z.avif".into(), Reason::NotAPicture)]);
    let summary = data.summary().unwrap();
    assert_eq!(summary.kinds[..2], [(Kind::Png, 3), (Kind::Jpeg, 3)]);
    assert!(summary.line().contains("AVIF"), "{}", summary.line());
    for index in 0..data.len() {
        let (_, pixel) = first_pixel(&data, index);
        assert!(pixel[0].abs_diff(37) < 60, "{index}: {pixel:?}");
    }
}

#[test]
fn whole_sets_of_bmp_gif_and_tiff_open() {
    for format in [ImageFormat::Bmp, ImageFormat::Gif, ImageFormat::Tiff] {
        let folder = Folder::new();
        (0..6).for_each(|n| folder.write(&format!("{n}"), &encoded(n, (51, 8), format)));
        let data = open(folder.path());
        assert_eq!((data.len(), data.shape().height, data.shape().width), (6, 8, 51), "{format:?}");
    }
}

#[test]
fn of_moving_pictures_the_first_frame_is_taken() {
    let folder = Folder::new();
    let mut bytes = Vec::new();
    {
        let mut encoder = image::codecs::gif::GifEncoder::new(&mut bytes);
        for level in [10, 200] {
            let frame = image::RgbaImage::from_pixel(4, 4, image::Rgba([level, level, level, 255]));
            encoder.encode_frame(image::Frame::new(frame)).unwrap();
        }
    }
    folder.write("moving.gif", &bytes);
    let (_, pixel) = first_pixel(&open(folder.path()), 0);
    assert!(pixel[0] < 30, "{pixel:?}");
}

#[test]
fn what_systems_leave_behind_is_passed_over() {
    let folder = Folder::plain(4);
    for litter in [
        "._0000.png",
        ".DS_Store",
        "Thumbs.db",
        "desktop.ini",
        ".ipynb_checkpoints/0000-checkpoint.png",
        "__MACOSX/._0000.png",
        "@eaDir/0000.png",
    ] {
        folder.write(litter, b"\0\x05\x16\x07");
    }
    folder.write("notes.txt", b"collected in spring");
    let data = open(folder.path());
    assert_eq!((data.len(), left_out(&data).len()), (4, 0));
    let summary = data.summary().unwrap();
    assert_eq!(summary.others, 1);
    assert!(!summary.line().contains("left out"), "{}", summary.line());
    // Nor does it count against those who want nothing left out.
    let strict = Request { strict: true, ..request(folder.path()) };
    assert!(strict.open(Split::Train, None, &Silent).unwrap().is_some());
}

#[test]
fn folders_of_any_depth_are_classes_with_names_in_natural_order() {
    let folder = Folder::new();
    for (n, name) in [
        "cat/long-haired/1.png",
        "cat/2.png",
        "dog/large/1.png",
        "dog/small/old/1.png",
        "10/a.png",
        "2/a.png",
    ]
    .into_iter()
    .enumerate()
    {
        folder.write(name, &png(n as u32));
    }
    fs::create_dir(folder.path().join("cow")).unwrap();
    folder.write("__MACOSX/cat/._2.png", b"litter");
    let data = open(folder.path());
    assert_eq!((data.len(), data.classes(), class_names(&data).as_str()), (6, Some(4), "2 10 cat dog"));
    assert_eq!(names(&data)[2..4], ["cat/2.png", "cat/long-haired/1.png"]);
    assert_eq!(first_pixel(&data, 5).0, 3);
    let line = data.summary().unwrap().line();
    assert!(line.contains("4 classes: 0 2 1, 1 10 1, 2 cat 2, 3 dog 2"), "{line}");
    assert!(line.contains("the folder cow without pictures is no class"), "{line}");
    // All together, if that is wanted.
    let data = Request { without_classes: true, ..request(folder.path()) };
    let data = data.open(Split::Train, None, &Silent).unwrap().unwrap();
    assert_eq!((data.len(), data.classes()), (6, None));
}

#[test]
fn one_folder_that_holds_everything_is_no_class() {
    let folder = Folder::new();
    (0..4).for_each(|n| folder.write(&format!("img/{n}.png"), &png(n)));
    assert_eq!(open(folder.path()).classes(), None);
    let folder = Folder::new();
    (0..4).for_each(|n| folder.write(&format!("set/{}/{n}.png", if n < 2 { "a" } else { "b" }), &png(n)));
    assert_eq!(class_names(&open(folder.path())), "a b");
}

#[test]
fn pictures_beside_class_folders_are_asked_about() {
    let folder = Folder::plain(2);
    folder.write("cat/1.png", &png(3));
    let message = refused(&request(folder.path()));
    assert!(message.contains("has pictures (0000.png) and, in folders, more (cat/1.png)"), "{message}");
    assert!(message.contains("--classes none"), "{message}");
    let data = Request { without_classes: true, ..request(folder.path()) };
    assert_eq!(data.open(Split::Train, None, &Silent).unwrap().unwrap().len(), 3);
}

#[test]
fn more_than_256_classes_work() {
    let folder = Folder::new();
    (0..300).for_each(|n| folder.write(&format!("class {n}/a.png"), &encoded(n, (4, 4), ImageFormat::Png)));
    let data = open(folder.path());
    assert_eq!((data.classes(), data.record().class_names[299].as_str()), (Some(300), "class 299"));
    assert_eq!(first_pixel(&data, 299).0, 299);
}

#[test]
fn labels_come_from_tables_and_from_a_dataset_json() {
    for (file, text) in [
        ("labels.csv", "file_name,label\n0000.png,dog\n0001.png,cat\n0002.png,dog\nnone.png,emu\n"),
        ("metadata.csv", "label;file_name\ndog;0000.png\ncat;0001.png\ndog;0002.png\n"),
        ("dataset.json", r#"{"labels": [["0000.png", 7], ["0001.png", 3], ["0002.png", 7]]}"#),
    ] {
        let folder = Folder::plain(4);
        folder.write(file, text.as_bytes());
        let data = open(folder.path());
        let names = if file == "dataset.json" { "3 7" } else { "cat dog" };
        assert_eq!((data.len(), class_names(&data).as_str()), (3, names), "{file}");
        assert_eq!([0, 1, 2].map(|index| first_pixel(&data, index).0), [0, 1, 1]);
        assert_eq!(left_out(&data), [("0003.png".into(), Reason::NoLabel)]);
        if file == "labels.csv" {
            let line = data.summary().unwrap().line();
            assert!(line.contains("1 row of labels.csv names no picture"), "{line}");
        }
    }
    let folder = Folder::plain(2);
    folder.write("labels.csv", b"one,two,three\n1,2,3\n");
    let message = refused(&request(folder.path()));
    assert!(message.contains("labels.csv: has the columns one, two, three"), "{message}");
    // A table of captions says nothing about classes.
    let folder = Folder::plain(2);
    folder.write("metadata.csv", b"file_name,text\n0000.png,a cat\n");
    assert_eq!(open(folder.path()).classes(), None);
}

#[test]
fn val_valid_and_validation_stand_for_test_and_share_its_classes() {
    for part in ["test", "val", "valid", "validation"] {
        let folder = Folder::new();
        for n in 0..6 {
            folder.write(&format!("train/{}/{n}.png", ["ape", "bee", "cat"][n as usize % 3]), &png(n));
        }
        folder.write(&format!("{part}/cat/1.png"), &png(9));
        folder.write(&format!("{part}/dog/1.png"), &png(8));
        let train = open(folder.path());
        assert_eq!((train.len(), class_names(&train).as_str()), (6, "ape bee cat"));
        let test = train.record().open_test(&Silent).unwrap().unwrap();
        assert_eq!((test.len(), test.classes(), first_pixel(&test, 0).0), (1, Some(3), 2), "{part}");
        assert_eq!(left_out(&test), [(format!("{part}/dog/1.png"), Reason::NoLabel)]);
    }
    let folder = Folder::plain(3);
    assert!(open(folder.path()).record().open_test(&Silent).unwrap().is_none());
}

#[cfg(unix)]
#[test]
fn links_are_followed_and_a_loop_ends() {
    use std::os::unix::fs::symlink;
    let store = Folder::new();
    store.write("cat/1.png", &png(1));
    store.write("dog/1.png", &png(2));
    let folder = Folder::new();
    for class in ["cat", "dog"] {
        symlink(store.path().join(class), folder.path().join(class)).unwrap();
    }
    symlink(".", folder.path().join("loop")).unwrap();
    let data = open(folder.path());
    assert_eq!((data.len(), class_names(&data).as_str()), (2, "cat dog"));
}

#[test]
fn odd_names_are_read() {
    let folder = Folder::new();
    let odd = [
        "a b.png",
        "größe.png",
        "图片.png",
        "🐈.png",
        "it's.png",
        "-x.png",
        "%d.png",
        "UPPER.PNG",
        "two.dots.png",
        "e\u{301}.png",
        "\u{e9}.png",
    ];
    for (n, name) in odd.iter().enumerate() {
        folder.write(&format!("mein Ordner ü/数据 🐈/{name}"), &png(n as u32));
    }
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        let name = std::ffi::OsStr::from_bytes(b"gr\xfc\xdfe.png");
        fs::write(folder.path().join("mein Ordner ü/数据 🐈").join(name), png(20)).unwrap();
        folder.write("mein Ordner ü/数据 🐈/line\nbreak.png", &png(21));
    }
    let data = open(folder.path());
    assert_eq!(data.len(), odd.len() + if cfg!(unix) { 2 } else { 0 });
    (0..data.len()).for_each(|index| _ = first_pixel(&data, index));
    assert!(data.images().take_notes().is_empty());
}

fn zipped(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(name.as_str(), zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn tarred(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, name, &bytes[..]).unwrap();
    }
    tar.into_inner().unwrap()
}

#[test]
fn archives_are_read_without_unpacking() {
    let mut files: Vec<(String, Vec<u8>)> =
        (0..12).map(|n| (format!("set/{}/{n:04}.png", if n < 6 { "cat" } else { "dog" }), png(n))).collect();
    files.push(("set/dog/bad.png".into(), png(3)[..50].to_vec()));
    let folder = Folder::new();
    folder.write("a/set.zip", &zipped(&files));
    folder.write("b/set.tar", &tarred(&files));
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(&tarred(&files)).unwrap();
    folder.write("c/set.tar.gz", &gz.finish().unwrap());
    files.iter().for_each(|(name, bytes)| folder.write(&format!("d/{name}"), bytes));
    let plain = open(&folder.path().join("d"));
    for path in ["a/set.zip", "b/set.tar", "c/set.tar.gz", "a"] {
        let data = open(&folder.path().join(path));
        assert_eq!((data.len(), class_names(&data).as_str()), (12, "cat dog"), "{path}");
        assert_eq!(left_out(&data), [("set/dog/bad.png".into(), Reason::CutOff)]);
        assert_eq!(first_pixel(&data, 7), first_pixel(&plain, 7));
        // The same pictures: a run may go on with either.
        assert!(plain.manifest().unwrap().compare(data.manifest().unwrap()).is_none());
        assert_eq!(data.record().sha256, plain.record().sha256, "{path}");
    }
    folder.write("a/set.tar", &tarred(&files));
    let message = refused(&request(&folder.path().join("a")));
    assert!(
        message.contains("set.tar") && message.contains("set.zip") && message.contains("name one"),
        "{message}"
    );
    folder.write("empty.zip", &zipped(&[("notes.txt".into(), b"none".to_vec())]));
    assert!(refused(&request(&folder.path().join("empty.zip"))).contains("this archive has no pictures"));
    let whole = zipped(&files);
    folder.write("cut.zip", &whole[..whole.len() / 2]);
    let message = refused(&request(&folder.path().join("cut.zip")));
    assert!(message.contains("cut.zip: this zip archive is damaged"), "{message}");
}

#[test]
fn arrays_open_by_their_path_and_one_picture_says_what_is_expected() {
    let folder = Folder::new();
    let header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (2, 2, 2, 3), }\n";
    let mut npy = b"\x93NUMPY\x01\0".to_vec();
    npy.extend_from_slice(&(header.len() as u16).to_le_bytes());
    npy.extend_from_slice(header);
    npy.extend(0..24);
    folder.write("set/images.npy", &npy);
    folder.write("images.npz", &zipped(&[("images.npy".into(), npy.clone())]));
    for path in ["set/images.npy", "set", "images.npz"] {
        let data = open(&folder.path().join(path));
        assert_eq!((data.len(), first_pixel(&data, 1).1), (2, vec![12, 13, 14]), "{path}");
    }
    folder.write("one.jpg", &png(1));
    let message = refused(&request(&folder.path().join("one.jpg")));
    assert!(message.contains("one.jpg: is one picture (PNG); --data takes a folder"), "{message}");
}

#[test]
fn sixteen_bits_keep_what_they_hold() {
    let samples = |scale: u16| -> Vec<u8> { (0..16u16).flat_map(|k| (k * scale).to_ne_bytes()).collect() };
    let folder = Folder::new();
    for n in 0..3 {
        folder.write(&format!("{n}.png"), &png_of(4, 4, ExtendedColorType::L16, &samples(273)));
    }
    let data = open(folder.path());
    let mut pixels = [0; 16];
    data.images().read(0, &mut pixels, &mut Default::default()).unwrap();
    assert_eq!((pixels[0], pixels[15], pixels[8]), (0, 255, 136), "the range 0 to 4095 is spread");
    let line = data.summary().unwrap().line();
    assert!(line.contains("3 of 16 bits, which use the levels 0 to 4095 of 65535"), "{line}");
    // Beside one that uses all, nothing is spread.
    folder.write("3.png", &png_of(4, 4, ExtendedColorType::L16, &samples(4369)));
    let data = open(folder.path());
    data.images().read(0, &mut pixels, &mut Default::default()).unwrap();
    assert_eq!((pixels[0], pixels[15]), (0, 16));
}

#[test]
fn one_line_says_what_there_is_and_what_is_cut_off() {
    let folder = Folder::new();
    (0..4).for_each(|n| folder.write(&format!("{n}.png"), &encoded(n, (96, 48), ImageFormat::Png)));
    let sized = |resize| {
        let request = Request { size: Some((32, 32)), resize, ..request(folder.path()) };
        request.open(Split::Train, None, &Silent).unwrap().unwrap()
    };
    let crop = sized(Resize::Crop);
    assert_eq!(
        crop.summary().unwrap().line(),
        "4 pictures (PNG), 96x48, colour; cropped to the middle (50 % of their area cut off) and scaled to 32x32, colour"
    );
    let pad = sized(Resize::Pad);
    assert!(
        pad.summary().unwrap().line().contains("scaled whole, with black borders"),
        "{}",
        pad.summary().unwrap().line()
    );
    assert_eq!((first_pixel(&pad, 1).1, first_pixel(&crop, 1).1[0]), (vec![0, 0, 0], 37));
    assert_eq!(pad.record().resize.as_deref(), Some("pad"));
    assert_eq!(pad.record().open(&Silent).unwrap().record(), pad.record());
    let text = sized(Resize::Stretch).summary().unwrap().lines().join("\n");
    assert!(text.contains("stretched to 32x32") && text.contains("sizes        96x48 (4)"), "{text}");
}

#[test]
fn every_size_and_proportion_opens() {
    let folder = Folder::new();
    let sizes =
        [(1, 1), (1, 60), (60, 1), (3, 500), (500, 3), (28, 28), (33, 47), (64, 48), (120, 9), (28, 28)];
    for (n, size) in sizes.into_iter().enumerate() {
        folder.write(&format!("{n}.png"), &encoded(n as u32, size, ImageFormat::Png));
    }
    let data = open(folder.path());
    assert_eq!((data.shape().height, data.shape().width), (28, 28), "the size that most have");
    for resize in Resize::ALL {
        let request = Request { size: Some((16, 24)), resize, ..request(folder.path()) };
        let data = request.open(Split::Train, None, &Silent).unwrap().unwrap();
        (0..sizes.len()).for_each(|index| _ = first_pixel(&data, index));
        assert!(data.images().take_notes().is_empty());
    }
    let lines = data.summary().unwrap().lines().join("\n");
    assert!(lines.contains("1x1 to 64x48") && lines.contains("proportions"), "{lines}");
}

#[test]
fn transparency_is_kept_where_four_channels_are_asked_for() {
    let folder = Folder::new();
    folder.write("a.png", &png_of(1, 1, ExtendedColorType::Rgba8, &[200, 100, 0, 128]));
    folder.write("b.png", &png_of(1, 1, ExtendedColorType::Rgb8, &[1, 2, 3]));
    let request = Request { channels: Some(4), ..request(folder.path()) };
    let data = request.open(Split::Train, None, &Silent).unwrap().unwrap();
    assert_eq!(data.shape().channels, 4);
    assert_eq!(first_pixel(&data, 0).1, [100, 50, 0, 128]);
    assert_eq!(first_pixel(&data, 1).1, [1, 2, 3, 255]);
    assert_eq!(first_pixel(&open(folder.path()), 0).1, [227, 177, 127]);
    let line = data.summary().unwrap().line();
    assert!(line.contains("1 with transparency") && line.contains("colour with transparency"), "{line}");
}

#[test]
fn copies_are_found() {
    let folder = Folder::plain(3);
    folder.write("x.png", &png(1));
    folder.write("y.png", &png(1));
    let lines = open(folder.path()).summary().unwrap().lines().join("\n");
    assert!(lines.contains("2 pictures are copies of others: 0001.png and x.png hold the same"), "{lines}");
}

#[test]
fn a_file_that_goes_bad_is_replaced_by_the_next_of_its_class_and_told_once() {
    let folder = Folder::new();
    for (n, name) in ["cat/0.png", "cat/1.png", "cat/2.png", "dog/0.png", "dog/1.png"].into_iter().enumerate()
    {
        folder.write(name, &png(n as u32 + 1));
    }
    let opened = open(folder.path());
    // Before any picture is in memory.
    folder.write("cat/2.png", b"<html>");
    fs::remove_file(folder.path().join("dog/0.png")).unwrap();
    for _ in 0..2 {
        // After the last of a class comes its first.
        assert_eq!(first_pixel(&opened, 2), first_pixel(&opened, 0));
        assert_eq!(first_pixel(&opened, 3), first_pixel(&opened, 4));
    }
    let notes = opened.images().take_notes();
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(notes[0].contains("cat/2.png: is no picture") && notes[0].ends_with("cat/0.png takes its place"));
    assert!(opened.images().take_notes().is_empty());
    // Whoever goes on later does the same: the pictures are the same, two of them cannot be read.
    // One is gone altogether, which is a change; the other is not.
    let again = opened.record().reopen(opened.manifest(), None, false, &Silent);
    let message = again.unwrap_err().to_string();
    assert!(message.contains("1 gone (dog/0.png), 1 unreadable (cat/2.png)"), "{message}");
    folder.write("dog/0.png", &png(4));
    let again = opened.record().reopen(opened.manifest(), None, false, &Silent).unwrap();
    assert_eq!(again.changes.unwrap().to_string(), "1 unreadable (cat/2.png)");
    assert_eq!(first_pixel(&again.data, 2), first_pixel(&opened, 2));
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target)
        } else {
            _ = fs::copy(entry.path(), target).unwrap()
        }
    }
}

#[test]
fn a_run_is_tied_to_its_pictures_and_not_to_a_place() {
    let folder = Folder::new();
    for n in 0..8 {
        folder.write(&format!("set/{}/{n}.png", if n % 2 == 0 { "cat" } else { "dog" }), &png(n));
    }
    let first = folder.path().join("set");
    let data = open(&first);
    let (record, manifest) = (data.record().clone(), data.manifest().unwrap().clone());
    // As it is kept with a run.
    let manifest = Manifest::from_bytes(&manifest.to_bytes()).unwrap();
    let elsewhere = folder.path().join("elsewhere/below");
    copy(&first, &elsewhere);
    fs::rename(elsewhere.join("cat/0.png"), elsewhere.join("cat/another name.png")).unwrap();
    fs::remove_dir_all(&first).unwrap();
    let message = record.reopen(Some(&manifest), None, false, &Silent).unwrap_err().to_string();
    assert!(message.contains("no such file or folder"), "{message}");
    let again = record.reopen(Some(&manifest), Some(&elsewhere), false, &Silent).unwrap();
    assert!(again.changes.is_none());
    assert_eq!(again.data.record().sha256, record.sha256);
    for index in 0..8 {
        assert_eq!(first_pixel(&again.data, index), {
            let n = [0, 2, 4, 6, 1, 3, 5, 7][index];
            (u32::from(index > 3), picture(n, 1, 1).get_pixel(0, 0).0.to_vec())
        });
    }
    // One other, one less, one more.
    fs::write(elsewhere.join("cat/2.png"), png(77)).unwrap();
    fs::remove_file(elsewhere.join("dog/1.png")).unwrap();
    fs::write(elsewhere.join("dog/new.png"), png(78)).unwrap();
    let message = record.reopen(Some(&manifest), Some(&elsewhere), false, &Silent).unwrap_err().to_string();
    for words in ["1 changed (cat/2.png)", "1 gone (dog/1.png)", "1 new (dog/new.png)", "--accept-changes"] {
        assert!(message.contains(words), "{message}");
    }
    let accepted = record.reopen(Some(&manifest), Some(&elsewhere), true, &Silent).unwrap();
    assert_eq!((accepted.data.len(), accepted.data.classes()), (8, Some(2)));
    assert!(!accepted.changes.unwrap().is_none());
    // A class that the model does not know cannot be accepted.
    fs::create_dir(elsewhere.join("emu")).unwrap();
    fs::write(elsewhere.join("emu/1.png"), png(1)).unwrap();
    let message = record.reopen(Some(&manifest), Some(&elsewhere), true, &Silent).unwrap_err().to_string();
    assert!(message.contains("the class emu is new") && message.contains("cat, dog"), "{message}");
}

#[test]
fn runs_without_a_manifest_open_by_their_fingerprint() {
    let folder = Folder::plain(5);
    let record = open(folder.path()).record().clone();
    assert_eq!(record.open(&Silent).unwrap().record(), &record);
    // What a version before wrote down has fewer keys.
    let text = toml::to_string(&record).unwrap();
    assert!(
        !text.contains("class_names") && !text.contains("resize") && !text.contains("without_classes"),
        "{text}"
    );
    fs::write(folder.path().join("0001.png"), png(50)).unwrap();
    let message = record.reopen(None, None, false, &Silent).unwrap_err().to_string();
    assert!(
        message.contains("have changed since the run began") && message.contains("--accept-changes"),
        "{message}"
    );
    assert_eq!(record.reopen(None, None, true, &Silent).unwrap().data.len(), 5);
}
