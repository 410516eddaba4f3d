//! Expands every shader of the engine and reads what it declares; an error stops the build with file and line. Whether
//! the shaders are valid WGSL, the tests of this crate say: a build has no need of a shader compiler.

use std::path::Path;
use std::process::ExitCode;

mod expand;
mod generate;
mod reflect;

fn main() -> ExitCode {
    let root = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    let out = std::env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-changed=lib");
    println!("cargo::rerun-if-changed=.");
    match build(Path::new(&root), Path::new(&out)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(errors) => {
            for error in errors {
                // Cargo prints these with the name of the package; the tail keeps a multi-line message together.
                println!("cargo::error={}", error.replace('\n', " "));
                eprintln!("{error}");
            }
            ExitCode::FAILURE
        }
    }
}

fn build(root: &Path, out: &Path) -> Result<(), Vec<String>> {
    let io = |path: &Path, error: std::io::Error| vec![format!("{}: {error}", path.display())];
    let library = expand::read_folder(&root.join("lib")).map_err(|e| io(&root.join("lib"), e))?;
    let files = expand::read_folder(root).map_err(|e| io(root, e))?;
    let mut errors = Vec::new();
    let mut shaders = Vec::new();
    for (name, text) in &files {
        let variants = match expand::expand(name, text, &library) {
            Ok(variants) => variants,
            Err(error) => {
                errors.push(error);
                continue;
            }
        };
        for variant in variants {
            match reflect::reflect(name, &variant) {
                Ok(reflection) => shaders.push((name.clone(), variant, reflection)),
                Err(error) => errors.push(error),
            }
        }
    }
    if errors.is_empty() {
        match generate::generate(&shaders) {
            Ok(text) => {
                for (_, variant, _) in &shaders {
                    let path = out.join(format!("{}.wgsl", variant.name));
                    std::fs::write(&path, variant.source()).map_err(|e| io(&path, e))?;
                }
                let path = out.join("shaders.rs");
                std::fs::write(&path, text).map_err(|e| io(&path, e))?;
            }
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}
