//! Every shader is valid within the default limits of WebGPU, and lies in memory as the build script read it. Broken ones
//! are refused, with the place where they are broken.

use std::collections::BTreeMap;
use std::path::Path;

mod check;
#[path = "../build/expand.rs"]
mod expand;
#[path = "../build/reflect.rs"]
mod reflect;

const HEADER: &str = "@group(0) @binding(1) var<storage, read_write> out: array<f32>;\n";

fn library() -> BTreeMap<String, String> {
    let twice = "// two\n// comments\nfn twice(x: f32) -> f32 {\n    return 2.0 * x;\n}\n";
    BTreeMap::from([("twice".to_string(), twice.to_string())])
}

/// The variants of a file called `test`, or the first error.
fn build(text: &str) -> Result<Vec<(String, reflect::Reflection)>, String> {
    let variants = expand::expand("test", text, &library())?;
    variants.into_iter().map(|variant| Ok((variant.name.clone(), check::check("test", &variant)?))).collect()
}

#[test]
fn every_shader_is_valid_and_declares_what_the_build_script_read() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let library = expand::read_folder(&root.join("lib")).unwrap();
    let (mut errors, mut names) = (Vec::new(), Vec::new());
    for (stem, text) in expand::read_folder(root).unwrap() {
        for variant in expand::expand(&stem, &text, &library).unwrap() {
            match (check::check(&stem, &variant), reflect::reflect(&stem, &variant)) {
                (Ok(by_naga), Ok(read)) if by_naga == read => names.push(variant.name),
                (Ok(by_naga), Ok(read)) => {
                    errors.push(format!("{}: naga sees {by_naga:?}, read was {read:?}", variant.name));
                }
                (Err(error), _) | (_, Err(error)) => errors.push(error),
            }
        }
    }
    assert!(errors.is_empty(), "{}", errors.join("\n"));
    let built: Vec<&str> = gannet_shaders::all().iter().map(|shader| shader.name).collect();
    assert_eq!(names, built);
}

#[test]
fn declarations_of_other_forms_are_refused() {
    let read = |text: &str| {
        let text = format!("{HEADER}{text}\n");
        let variants = expand::expand("test", &text, &library()).unwrap();
        reflect::reflect("test", &variants[0])
    };
    let main = "@compute @workgroup_size(1)\nfn main() {}";
    for (text, expected) in [
        ("fn main() {}", "expected an entry point"),
        (&format!("{main}\n{main}"), "shaders/test.wgsl:5:1: error: expected one entry point"),
        ("@compute @workgroup_size(X)\nfn main() {}", "expected a whole number, got `X`"),
        (&format!("@group(0) @binding(0) var<uniform> p: P;\n{main}"), "there is none named P"),
        (
            &format!("struct P {{ a: mat2x2<f32> }}\n@group(0) @binding(0) var<uniform> p: P;\n{main}")
                .replace("{ a", "{\n    a"),
            "P.a should be a scalar",
        ),
        (&format!("@group(0) @binding(2) var<storage, read> x: f32;\n{main}"), "runtime-sized array"),
        (
            &format!("@group(0) @binding(3) var<storage, read> x: array<f32>;\n{main}"),
            "bindings count from 1",
        ),
    ] {
        let error = read(text).unwrap_err();
        assert!(error.contains(expected), "{error}, expected {expected}");
    }
    let text = "const FIRST: u32 = 2u;\nstruct P { a: f32, b: vec3<f32>, c: u32, d: array<vec4<i32>, 2>, e: vec2<u32> }\n\
                @group(0) @binding(0) var<uniform> p: P;\n\
                @group(0) @binding(FIRST + 0u) var<storage, read> x: array<vec4<f32>>;\n\
                @compute @workgroup_size(8, 4)\nfn main() { out[0] = p.a + x[0].x; }";
    let variants = expand::expand("test", &format!("{HEADER}{text}\n"), &library()).unwrap();
    assert_eq!(reflect::reflect("test", &variants[0]), check::check("test", &variants[0]));
}

#[test]
fn variants_are_all_combinations_of_the_axes() {
    let text = format!(
        "#axis op double = twice(x)\n#axis op halve = 0.5 * x\n#axis place plain\n#axis place in_place\n\
         #name {{op}} {{place}}\n{HEADER}#import twice\n#if place plain\n\
         @group(0) @binding(2) var<storage, read> a: array<f32>;\n#endif\n\
         @compute @workgroup_size(64)\nfn main() {{\n#if place plain\n    let x = a[0];\n#else\n    let x = out[0];\n\
         #endif\n#unroll i 3\n    out[${{i}}] = ${{op}};\n#endunroll\n}}\n"
    );
    let built = build(&text).unwrap();
    let names: Vec<&str> = built.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["double", "double_in_place", "halve", "halve_in_place"]);
    let bindings = |i: usize| -> Vec<(&str, bool)> {
        built[i].1.bindings.iter().map(|binding| (binding.name.as_str(), binding.writes)).collect()
    };
    assert_eq!(bindings(0), [("out", true), ("a", false)]);
    assert_eq!(bindings(1), [("out", true)]);
    assert_eq!(built[0].1.workgroup_size, [64, 1, 1]);
}

#[test]
fn errors_name_file_line_and_column() {
    let main = |body: &str| {
        format!("{HEADER}#import twice\n@compute @workgroup_size(1)\nfn main() {{\n{body}\n}}\n")
    };
    let cases = [
        // Of syntax, of types, of the imported file's own names; the import adds lines that must not count.
        (main("    out[0] = ;"), "shaders/test.wgsl:5:14: error"),
        (main("    out[0] = twice(1u);"), "shaders/test.wgsl:5:"),
        (main("    out[0] = thrice(1.0);"), "shaders/test.wgsl:5:14: error"),
        (main("#iff x y"), "shaders/test.wgsl:5:1: error: unknown directive"),
        (main("#import nothing"), "no file shaders/lib/nothing.wgsl"),
        (main("    out[0] = ${missing};"), "no axis or counter `missing`"),
        (main("#if op add"), "no axis `op`"),
    ];
    for (text, expected) in cases {
        let error = build(&text).unwrap_err();
        assert!(error.contains(expected), "{error}, expected {expected}\n{text}");
    }
    let broken =
        BTreeMap::from([("twice".to_string(), "\nfn twice(x: f32) -> f32 {\n    return y;\n}\n".into())]);
    let variants = expand::expand("test", &main("    out[0] = twice(1.0);"), &broken).unwrap();
    let error = check::check("test", &variants[0]).unwrap_err();
    assert!(error.contains("shaders/lib/twice.wgsl:3:12: error"), "{error}");
}

#[test]
fn what_the_default_limits_do_not_allow_is_refused() {
    let cases = [
        ("@compute @workgroup_size(512)\nfn main() { out[0] = 1.0; }", "over the limit of 256 invocations"),
        (
            "var<workgroup> a: array<f32, 5000>;\n@compute @workgroup_size(1)\nfn main() { out[0] = a[0]; }",
            "20000 bytes of workgroup memory",
        ),
        ("enable f16;\n@compute @workgroup_size(1)\nfn main() { out[0] = f32(1.0h); }", "error"),
        (
            "@group(0) @binding(3) var<storage, read> a: array<f32>;\n@compute @workgroup_size(1)\n\
             fn main() { out[0] = a[0]; }",
            "bindings count from 1",
        ),
    ];
    for (text, expected) in cases {
        let error = build(&format!("{HEADER}{text}\n")).unwrap_err();
        assert!(error.contains(expected), "{error}, expected {expected}");
    }
}

#[test]
fn parameters_lie_where_the_uniform_has_them() {
    use gannet_shaders::{Params, STRIDED_COPY, StridedCopyParams};
    let mut axes = [[0; 4]; 6];
    axes[1] = [7, 8, 9, 10];
    let params = StridedCopyParams { count: 1, rank: 2, in_offset: 3, out_offset: 4, axes };
    let bytes = params.to_bytes();
    assert_eq!(bytes.len(), STRIDED_COPY.shader.params_size);
    let words: Vec<u32> =
        bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    assert_eq!(words[..4], [1, 2, 3, 4]);
    assert_eq!(words[8..12], [7, 8, 9, 10]);
    assert!(words.iter().skip(12).all(|word| *word == 0));
}
