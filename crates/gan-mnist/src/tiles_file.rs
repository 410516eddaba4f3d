//! The file of the tiles that `tune` has chosen for an adapter.
//!
//! It is TOML in the cache folder, one file for each adapter, and says what the choice depends on: the driver, the version of
//! the program and its shaders. Where one of these is another now, it is not used.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use gannet_data::files::hexadecimal;
use gannet_gpu::{Tile, Tiles, Wgpu};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result, toml_line};
use crate::run::{Os, write_durably};

/// The format that is written and read.
const FORMAT: i64 = 1;

/// The longest file that is read.
const MAX_BYTES: u64 = 1 << 22;

/// The digits of a checksum that are shown.
const DIGITS: usize = 16;

/// What the choice of tiles depends on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Measured {
    /// The version of the program.
    program: String,
    /// The first digits of the SHA-256 of its shaders.
    shaders: String,
    adapter: String,
    api: String,
    driver: String,
}

impl Measured {
    /// What is measured now on this adapter.
    fn now(adapter: &str, api: &str, driver: &str) -> Measured {
        let mut digest = Sha256::new();
        for shader in gannet_shaders::all() {
            digest.update(shader.name);
            digest.update(shader.source);
        }
        Measured {
            program: env!("CARGO_PKG_VERSION").into(),
            shaders: short(&digest.finalize()),
            adapter: adapter.into(),
            api: api.into(),
            driver: driver.into(),
        }
    }

    /// What is not as it is `now`, if something is not.
    fn outdated(&self, now: &Measured) -> Option<String> {
        for (what, then, now) in [
            ("adapter", &self.adapter, &now.adapter),
            ("API", &self.api, &now.api),
            ("driver", &self.driver, &now.driver),
            ("version of the program", &self.program, &now.program),
        ] {
            if then != now {
                return Some(format!("it was measured with the {what} {then}, and this is {now}"));
            }
        }
        (self.shaders != now.shaders)
            .then(|| "it was measured with other shaders than this program has".into())
    }
}

/// The text of a file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    format: i64,
    program: String,
    shaders: String,
    adapter: String,
    api: String,
    driver: String,
    /// How many there are: a file that was cut off has fewer.
    products: usize,
    tiles: BTreeMap<String, String>,
}

/// The first digits of a checksum.
fn short(digest: &[u8]) -> String {
    hexadecimal(digest)[..DIGITS].into()
}

/// The file of an adapter, whether it is there or not.
#[derive(Debug)]
pub struct TilesFile {
    path: PathBuf,
    now: Measured,
}

impl TilesFile {
    /// That of this GPU. Errors where there is no cache folder.
    pub fn of(gpu: &Wgpu) -> Result<TilesFile> {
        Ok(TilesFile::in_folder(&gannet_data::cache_folder()?, gpu.name(), &gpu.api(), &gpu.driver()))
    }

    fn in_folder(folder: &Path, adapter: &str, api: &str, driver: &str) -> TilesFile {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { ' ' };
        let name: String = format!("{adapter} {api}").chars().map(plain).collect();
        let name = name.split_whitespace().collect::<Vec<_>>().join("-");
        TilesFile {
            path: folder.join(format!("tiles-{name}.toml")),
            now: Measured::now(adapter, api, driver),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The tiles in it, if there is such a file. Errors, which name it, when it is damaged, or was measured with something that
    /// is another now.
    pub fn read(&self) -> Result<Option<Tiles>> {
        let wrong = |what: &str| {
            Error::failure(format!(
                "{} is not used: {what}; `gan-mnist tune` makes it anew",
                self.path.display()
            ))
        };
        match fs::metadata(&self.path) {
            Ok(metadata) if metadata.len() > MAX_BYTES => {
                return Err(wrong(&format!("{} bytes are no file of tiles", metadata.len())));
            }
            Ok(_) => {}
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
            Err(e) => return Err(Error::cannot_read(&self.path, &e)),
        }
        let bytes = fs::read(&self.path).map_err(|e| Error::cannot_read(&self.path, &e))?;
        self.parse(&bytes).map(Some).map_err(|what| wrong(&what))
    }

    fn parse(&self, bytes: &[u8]) -> Result<Tiles, String> {
        let text = str::from_utf8(bytes).map_err(|_| "it is no text".to_owned())?;
        let damaged =
            |e: toml::de::Error| format!("it is damaged in line {}: {}", toml_line(text, &e), e.message());
        // A later format may hold anything else.
        let table: toml::Table = toml::from_str(text).map_err(damaged)?;
        match table.get("format").and_then(toml::Value::as_integer) {
            Some(FORMAT) => {}
            Some(format) => return Err(format!("it has format {format}, and this program reads {FORMAT}")),
            None => return Err("it is damaged: it does not say its format".into()),
        }
        let Text { program, shaders, adapter, api, driver, products, tiles, format: _ } =
            toml::from_str(text).map_err(damaged)?;
        let measured = Measured { program, shaders, adapter, api, driver };
        if let Some(outdated) = measured.outdated(&self.now) {
            return Err(outdated);
        }
        if tiles.len() != products {
            return Err(format!("it is damaged: of {products} products it has {}", tiles.len()));
        }
        let tile = |(product, name): (String, String)| match Tile::find(&name) {
            Some(tile) => Ok((product, tile)),
            None => Err(format!("it is damaged: there is no tile '{name}', which it has for {product}")),
        };
        tiles.into_iter().map(tile).collect()
    }

    /// Writes these tiles, whole or not at all.
    pub fn write(&self, tiles: &Tiles) -> Result<()> {
        let Measured { program, shaders, adapter, api, driver } = self.now.clone();
        let names = tiles.iter().map(|(product, tile)| (product.clone(), tile.name().to_owned()));
        let text = Text {
            format: FORMAT,
            program,
            shaders,
            adapter,
            api,
            driver,
            products: tiles.len(),
            tiles: names.collect(),
        };
        let text = toml::to_string(&text).map_err(Error::failure)?;
        let text = format!(
            "# The tiles of products that are fastest here, as `gan-mnist tune` has measured them.\n{text}"
        );
        let folder = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)
            .and_then(|()| write_durably(&Os, &self.path, text.as_bytes()))
            .map_err(|e| Error::cannot_write(&self.path, &e))
    }
}

/// Tiles that were measured, in words: equal where they are.
pub fn in_words(tiles: &Tiles) -> String {
    let mut digest = Sha256::new();
    for (product, tile) in tiles {
        digest.update(format!("{product}={}\n", tile.name()));
    }
    format!("as measured ({} products, {})", tiles.len(), short(&digest.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(folder: &Path, driver: &str) -> TilesFile {
        TilesFile::in_folder(folder, "A Card (R) 7", "vulkan", driver)
    }

    fn tiles() -> Tiles {
        [("matmul_nn 1x4x8", Tile::Plain), ("conv2d 8x8x16 of 4x4x32, 4x4/2, N 2", Tile::Large)]
            .map(|(product, tile)| (product.to_owned(), tile))
            .into()
    }

    #[test]
    fn what_is_written_is_read_on_the_same_adapter_and_driver_alone() {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join("cache/gannet");
        let own = file(&cache, "driver 1.2");
        assert_eq!(own.read(), Ok(None));
        own.write(&tiles()).unwrap();
        assert_eq!(own.path(), cache.join("tiles-a-card-r-7-vulkan.toml"));
        assert_eq!(own.read(), Ok(Some(tiles())));
        // Nothing else is left there.
        assert_eq!(fs::read_dir(&cache).unwrap().count(), 1);
        let message = file(&cache, "driver 1.3").read().unwrap_err().to_string();
        for part in ["tiles-a-card-r-7-vulkan.toml is not used", "driver 1.2", "driver 1.3", "gan-mnist tune"]
        {
            assert!(message.contains(part), "{message}");
        }
        assert_eq!(TilesFile::in_folder(&cache, "A Card (R) 7", "dx12", "driver 1.2").read(), Ok(None));
        own.write(&Tiles::new()).unwrap();
        assert_eq!(own.read(), Ok(Some(Tiles::new())));
    }

    #[test]
    fn a_file_that_is_not_whole_or_of_another_version_is_told_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(folder.path(), "driver 1.2");
        file.write(&tiles()).unwrap();
        let text = fs::read_to_string(file.path()).unwrap();
        let version = format!("program = \"{}\"", env!("CARGO_PKG_VERSION"));
        let shaders = text.lines().find(|line| line.starts_with("shaders")).unwrap();
        let last = text.lines().last().unwrap();
        for (from, to, part) in [
            (version.as_str(), "program = \"0.0.7\"", "program 0.0.7, and this is"),
            (shaders, "shaders = \"0123456789abcdef\"", "other shaders"),
            ("A Card (R) 7", "A Card (R) 8", "the adapter A Card (R) 8"),
            ("format = 1", "format = 2", "format 2, and this program reads 1"),
            ("format = 1\n", "", "does not say its format"),
            ("\"large\"", "\"huge\"", "no tile 'huge'"),
            ("\"large\"", "\"large", "damaged in line"),
            ("products = 2", "products = 3", "of 3 products it has 2"),
            ("products = 2", "products = -2", "damaged in line 8"),
            ("products = 2", "products = 2\nmore = 1", "damaged in line"),
            (last, "", "of 2 products it has 1"),
        ] {
            assert!(text.contains(from), "{from} is not in {text}");
            fs::write(file.path(), text.replace(from, to)).unwrap();
            let message = file.read().unwrap_err().to_string();
            assert!(message.contains(part) && message.contains("is not used: "), "{part}: {message}");
            assert!(message.contains(&file.path().display().to_string()), "{message}");
        }
        for bytes in [&b""[..], b"\xff\xfe", &[b'a'; 1 << 23]] {
            fs::write(file.path(), bytes).unwrap();
            assert!(file.read().unwrap_err().to_string().contains("is not used"));
        }
    }

    #[test]
    fn words_tell_tiles_apart() {
        let mut other = tiles();
        assert_eq!(in_words(&other), in_words(&tiles()));
        other.insert("matmul_nn 1x4x8".into(), Tile::Vec4);
        assert_ne!(in_words(&other), in_words(&tiles()));
        assert!(in_words(&other).starts_with("as measured (2 products, "));
    }
}
