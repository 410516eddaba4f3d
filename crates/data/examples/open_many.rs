//! How long it takes to open many small pictures, the first time and the second, and what memory that takes.
//!
//! ```text
//! cargo run --release -p gannet-data --example open_many -- 20000
//! ```

use std::io::Cursor;
use std::time::Instant;

use gannet_data::{Request, Silent, Source, Split};
use image::{DynamicImage, ImageFormat, RgbImage};

/// The most memory that the process has had, in MB, where the system says.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1000)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let count: usize = std::env::args().nth(1).map_or(Ok(20_000), |count| count.parse())?;
    let folder = std::env::temp_dir().join(format!("open-many-{}", std::process::id()));
    for n in 0..count {
        let of = |x: u32, y: u32, k: u32| ((x * k) ^ (y * 7 + n as u32 * k)) as u8;
        let picture =
            RgbImage::from_fn(64, 64, |x, y| image::Rgb([of(x, y, 3), of(x / 8, y, 5), of(x, y / 8, 11)]));
        let mut bytes = Cursor::new(Vec::new());
        DynamicImage::ImageRgb8(picture).write_to(&mut bytes, ImageFormat::Png)?;
        let class = folder.join(format!("class {}", n % 10));
        std::fs::create_dir_all(&class)?;
        std::fs::write(class.join(format!("{n:06}.png")), bytes.into_inner())?;
    }
    // What has just been written is not believed to be unchanged.
    std::thread::sleep(std::time::Duration::from_millis(2100));
    for which in ["first", "second", "third"] {
        let began = Instant::now();
        let set = Request::new(Source::Path(folder.clone())).open(Split::Train, None, &Silent)?;
        let pictures = set.map_or(0, |set| set.len());
        println!(
            "{which}: {pictures} pictures in {:.2} s, at most {} MB",
            began.elapsed().as_secs_f64(),
            peak().unwrap_or(0)
        );
    }
    std::fs::remove_dir_all(folder)?;
    Ok(())
}
