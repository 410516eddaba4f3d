//! The Rust that the crate includes: one constant per shader, one struct per parameter uniform.

use crate::expand::Variant;
use crate::reflect::{Field, Reflection, Struct};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Rust source for all shaders: (file stem, variant, reflection).
pub(crate) fn generate(shaders: &[(String, Variant, Reflection)]) -> Result<String, String> {
    let mut text = String::new();
    let mut structs: BTreeMap<&str, &Option<Struct>> = BTreeMap::new();
    let mut names: BTreeMap<&str, &str> = BTreeMap::new();
    for (stem, variant, reflection) in shaders {
        let known = structs.entry(stem).or_insert(&reflection.params);
        if **known != reflection.params {
            return Err(format!(
                "shaders/{stem}.wgsl:1:1: error: the parameters of {} differ from those of other variants",
                variant.name
            ));
        }
        if let Some(other) = names.insert(&variant.name, stem) {
            return Err(format!(
                "shaders/{stem}.wgsl:1:1: error: {other}.wgsl has a shader named {} too",
                variant.name
            ));
        }
    }
    let mut written: BTreeMap<String, &Struct> = BTreeMap::new();
    for (stem, params) in &structs {
        let Some(params) = params else { continue };
        let name = type_name(stem, params);
        match written.insert(name.clone(), params) {
            None => write_struct(&mut text, &name, stem, params).expect("writing to a string"),
            Some(other) if other == params => {}
            Some(_) => {
                return Err(format!("shaders/{stem}.wgsl:1:1: error: another file has a different {name}"));
            }
        }
    }
    for (id, (stem, variant, reflection)) in shaders.iter().enumerate() {
        write_shader(&mut text, id, stem, variant, reflection).expect("writing to a string");
    }
    let all: String =
        shaders.iter().map(|(_, v, _)| format!("    {}.shader,\n", v.name.to_uppercase())).collect();
    write!(text, "static ALL: &[&Shader] = &[\n{all}];\n").expect("writing to a string");
    Ok(text)
}

/// The name of the Rust struct: a struct that several files import keeps its name in WGSL, `Params` gets the
/// file's in front.
fn type_name(stem: &str, params: &Struct) -> String {
    if params.name != "Params" {
        return params.name.clone();
    }
    let words = stem.split('_').map(|word| {
        let (first, rest) = word.split_at(1.min(word.len()));
        first.to_uppercase() + rest
    });
    words.collect::<String>() + "Params"
}

fn is_padding(field: &Field) -> bool {
    field.name.starts_with('_')
}

fn write_struct(text: &mut String, name: &str, stem: &str, params: &Struct) -> std::fmt::Result {
    match params.name == "Params" {
        true => writeln!(text, "/// Parameters of the shaders in `{stem}.wgsl`.")?,
        false => writeln!(text, "/// Parameters that several shaders share.")?,
    }
    writeln!(text, "#[derive(Clone, Copy, Debug, Default, PartialEq)]\npub struct {name} {{")?;
    let fields = params.fields.iter().filter(|field| !is_padding(field));
    for field in fields.clone() {
        let mut ty = field.scalar.to_string();
        if field.components > 1 {
            ty = format!("[{ty}; {}]", field.components);
        }
        if let Some((count, _)) = field.array {
            ty = format!("[{ty}; {count}]");
        }
        writeln!(
            text,
            "    /// `{0}` of the uniform, at byte {1}.\n    pub {0}: {ty},",
            field.name, field.offset
        )?;
    }
    writeln!(text, "}}\n\nimpl Params for {name} {{\n    fn to_bytes(&self) -> Vec<u8> {{")?;
    writeln!(text, "        let mut bytes = vec![0; {}];", params.size)?;
    for field in fields {
        let (count, stride) = field.array.unwrap_or((1, 0));
        for element in 0..count {
            for component in 0..field.components {
                let at = field.offset + element * stride + 4 * component;
                let mut value = format!("self.{}", field.name);
                if field.array.is_some() {
                    write!(value, "[{element}]")?;
                }
                if field.components > 1 {
                    write!(value, "[{component}]")?;
                }
                writeln!(text, "        bytes[{at}..{}].copy_from_slice(&{value}.to_le_bytes());", at + 4)?;
            }
        }
    }
    writeln!(text, "        bytes\n    }}\n}}\n")
}

fn write_shader(
    text: &mut String,
    id: usize,
    stem: &str,
    variant: &Variant,
    reflection: &Reflection,
) -> std::fmt::Result {
    let name = &variant.name;
    let params = reflection.params.as_ref().map_or("()".to_string(), |params| type_name(stem, params));
    writeln!(text, "/// Shader `{name}`, from `{stem}.wgsl`.")?;
    writeln!(text, "pub const {}: Kernel<{params}> = Kernel::new(&Shader {{", name.to_uppercase())?;
    writeln!(text, "    name: {name:?},")?;
    writeln!(text, "    source: include_str!(concat!(env!(\"OUT_DIR\"), \"/{name}.wgsl\")),")?;
    writeln!(text, "    entry: {:?},", reflection.entry)?;
    writeln!(text, "    workgroup_size: {:?},", reflection.workgroup_size)?;
    writeln!(text, "    bindings: &[")?;
    for binding in &reflection.bindings {
        writeln!(
            text,
            "        Binding {{ index: {}, name: {:?}, access: Access::{}, stride: {} }},",
            binding.index,
            binding.name,
            if binding.writes { "ReadWrite" } else { "Read" },
            binding.stride
        )?;
    }
    let size = reflection.params.as_ref().map_or(0, |params| params.size);
    writeln!(text, "    ],\n    params_size: {size},\n    id: {id},\n}});\n")
}
