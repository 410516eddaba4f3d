//! The pages for users: every Rust snippet in them is compiled and run by `cargo test --doc`.

macro_rules! pages {
    ($($name:ident $path:literal)*) => {$(
        #[doc = include_str!(concat!("../../../", $path))]
        struct $name;
    )*};
}

pages! {
    Gannet "crates/gan/README.md"
    Tensor "crates/tensor/README.md"
    Cpu "crates/cpu/README.md"
    Gpu "crates/gpu/README.md"
    Pictures "docs/guide/pictures.md"
    Numbers "docs/guide/numbers.md"
    Deploy "docs/guide/deploy.md"
    WriteALayer "docs/guide/layer.md"
    WriteALoss "docs/guide/loss.md"
    WriteAnOperation "docs/guide/operation.md"
    Engine "docs/guide/engine.md"
}
