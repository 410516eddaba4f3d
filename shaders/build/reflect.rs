//! What a module declares: its entry point, its buffers and its parameters, read from the text.
//!
//! The shaders of this crate declare these in a few fixed forms (see the crate's documentation). Reading them here keeps
//! a shader compiler out of everybody's build; the tests compare each with what naga makes of the module.

use std::collections::BTreeMap;

use crate::expand::Variant;

/// What the generated constants hold.
#[derive(Debug, PartialEq)]
pub(crate) struct Reflection {
    pub(crate) entry: String,
    pub(crate) workgroup_size: [u32; 3],
    pub(crate) bindings: Vec<Binding>,
    pub(crate) params: Option<Struct>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Binding {
    pub(crate) index: u32,
    pub(crate) name: String,
    pub(crate) writes: bool,
    pub(crate) stride: u32,
}

/// The parameter uniform.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Struct {
    /// Its name in WGSL.
    pub(crate) name: String,
    pub(crate) size: u32,
    pub(crate) fields: Vec<Field>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Field {
    pub(crate) name: String,
    /// `u32`, `i32` or `f32`.
    pub(crate) scalar: &'static str,
    /// Components of each element, 1 for a scalar.
    pub(crate) components: u32,
    /// Elements of an array, if it is one, and the bytes between them.
    pub(crate) array: Option<(u32, u32)>,
    pub(crate) offset: u32,
}

/// Reads the declarations of one variant of the file `stem`. Errors with file and line.
pub(crate) fn reflect(stem: &str, variant: &Variant) -> Result<Reflection, String> {
    let mut reader = Reader { stem, variant, at: 0, constants: BTreeMap::new() };
    reader.module()
}

struct Reader<'a> {
    stem: &'a str,
    variant: &'a Variant,
    /// The line that is read, from 0.
    at: usize,
    /// Whole numbers by name.
    constants: BTreeMap<&'a str, u32>,
}

impl<'a> Reader<'a> {
    fn module(&mut self) -> Result<Reflection, String> {
        let variant = self.variant;
        let (mut structs, mut uniform) = (BTreeMap::new(), None);
        let (mut bindings, mut entry): (Vec<Binding>, Option<(String, [u32; 3])>) = (Vec::new(), None);
        let line = |at: usize| variant.lines.get(at).map(|line| code(&line.text));
        // They may stand behind where they are used.
        for constant in variant.lines.iter().filter_map(|line| code(&line.text).strip_prefix("const ")) {
            self.constant(constant);
        }
        while let Some(text) = line(self.at) {
            if let Some(rest) = text.strip_prefix("struct ") {
                let name = rest.split([' ', '{']).next().unwrap_or_default();
                let mut body = rest.split_once('{').map_or("", |(_, body)| body).to_owned();
                while !body.contains('}') {
                    self.at += 1;
                    let Some(next) = line(self.at) else { return self.error("a struct without an end") };
                    body.push_str(next);
                }
                structs.insert(name, (self.at, body.split('}').next().unwrap_or_default().to_owned()));
            } else if let Some(rest) = text.strip_prefix("@group(0) @binding(") {
                let Some((index, variable)) = rest.split_once(") var<") else {
                    return self.error("expected `@group(0) @binding(N) var<SPACE> NAME: TYPE;`");
                };
                let index = self.number(index)?;
                let parts =
                    variable.strip_suffix(';').and_then(|v| v.split_once("> ")).and_then(|(space, v)| {
                        let (name, ty) = v.split_once(": ")?;
                        Some((space, name, ty))
                    });
                match parts {
                    Some(("uniform", _, ty)) if index == 0 && uniform.is_none() => {
                        uniform = Some((self.at, ty))
                    }
                    Some((space @ ("storage, read" | "storage, read_write"), name, ty)) => {
                        let element = ty.strip_prefix("array<").and_then(|ty| ty.strip_suffix('>'));
                        let Some((_, components)) = element.and_then(scalar_or_vector) else {
                            return self.error("a storage buffer should be a runtime-sized array of numbers");
                        };
                        let writes = space.ends_with("write");
                        // A vector of three lies as one of four.
                        let stride = 4 * if components == 3 { 4 } else { components };
                        bindings.push(Binding { index, name: name.into(), writes, stride });
                    }
                    _ => return self.error("expected a storage buffer, or the one uniform at @binding(0)"),
                }
            } else if let Some(rest) = text.strip_prefix("@compute @workgroup_size(") {
                let Some((sizes, _)) = rest.split_once(')') else {
                    return self.error("expected `@compute @workgroup_size(N)`");
                };
                let mut workgroup_size = [1; 3];
                for (axis, size) in sizes.split(',').enumerate() {
                    match workgroup_size.get_mut(axis) {
                        Some(place) => *place = self.number(size)?,
                        None => return self.error("a workgroup has three axes at most"),
                    }
                }
                self.at += 1;
                let function = line(self.at).and_then(|text| text.strip_prefix("fn ")?.split_once('('));
                let Some((name, _)) = function else {
                    return self.error("expected `fn NAME(` after @workgroup_size");
                };
                if entry.replace((name.to_owned(), workgroup_size)).is_some() {
                    return self.error("expected one entry point, found another");
                }
            }
            self.at += 1;
        }
        let params = match uniform {
            None => None,
            Some((at, ty)) => {
                self.at = at;
                let Some((at, body)) = structs.get(ty) else {
                    return self
                        .error(&format!("the uniform should be a struct, but there is none named {ty}"));
                };
                self.at = *at;
                Some(self.parameters(ty, body)?)
            }
        };
        self.at = 0;
        let Some((entry, workgroup_size)) = entry else { return self.error("expected an entry point") };
        bindings.sort_by_key(|binding| binding.index);
        if let Some((index, binding)) = (1..).zip(&bindings).find(|(index, binding)| binding.index != *index)
        {
            return self
                .error(&format!("{} should be @binding({index}): bindings count from 1", binding.name));
        }
        Ok(Reflection { entry, workgroup_size, bindings, params })
    }

    /// Remembers `NAME: u32 = VALUE;` where the value is known; other constants are of no use here.
    fn constant(&mut self, declaration: &'a str) {
        let parts = declaration.strip_suffix(';').and_then(|d| d.split_once(" = "));
        if let Some((left, value)) = parts
            && let Ok(value) = self.number(value)
        {
            self.constants.insert(left.split(':').next().unwrap_or_default().trim(), value);
        }
    }

    /// A sum of whole numbers and constants.
    fn number(&self, text: &str) -> Result<u32, String> {
        let mut sum = 0;
        for term in text.split('+').map(str::trim) {
            let literal = term.trim_end_matches(['u', 'i']).parse().ok();
            match literal.or_else(|| self.constants.get(term).copied()) {
                Some(value) => sum += value,
                None => return self.error(&format!("expected a whole number, got `{term}`")),
            }
        }
        Ok(sum)
    }

    /// The layout of a uniform (WGSL, section 14.4).
    fn parameters(&self, name: &str, body: &str) -> Result<Struct, String> {
        let (mut fields, mut end, mut largest) = (Vec::new(), 0u32, 4u32);
        for member in members(body) {
            let Some((field, ty)) = member.split_once(": ") else {
                return self.error(&format!("expected `NAME: TYPE` in {name}, got `{member}`"));
            };
            let inner = ty.strip_prefix("array<").and_then(|ty| ty.strip_suffix('>'));
            let (element, count) = match inner.map(|inner| inner.rsplit_once(", ")) {
                None => (ty, None),
                Some(Some((element, count))) => (element, Some(self.number(count)?)),
                Some(None) => return self.error(&format!("{name}.{field} should have a length")),
            };
            let Some((scalar, components)) = scalar_or_vector(element) else {
                return self
                    .error(&format!("{name}.{field} should be a scalar, a vector or an array of them"));
            };
            let align = 4 * if components == 3 { 4 } else { components };
            let stride = (4 * components).next_multiple_of(align);
            let offset = end.next_multiple_of(align);
            end = offset + count.map_or(4 * components, |count| count * stride);
            largest = largest.max(align);
            let array = count.map(|count| (count, stride));
            fields.push(Field { name: field.trim().into(), scalar, components, array, offset });
        }
        Ok(Struct { name: name.into(), size: end.next_multiple_of(largest), fields })
    }

    fn error<T>(&self, message: &str) -> Result<T, String> {
        let (stem, variant) = (self.stem, &self.variant.name);
        match self.variant.origin(self.at + 1) {
            Some(line) => {
                Err(format!("shaders/{}:{}:1: error: {message} (variant {variant})", line.file, line.number))
            }
            None => Err(format!("shaders/{stem}.wgsl:1:1: error: {message} (variant {variant})")),
        }
    }
}

/// A line without its comment.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or_default().trim_end()
}

/// The members of a struct: commas within `<>` part nothing.
fn members(body: &str) -> Vec<&str> {
    let (mut members, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, sign) in body.char_indices() {
        match sign {
            '<' => depth += 1,
            '>' => depth -= 1,
            ',' if depth == 0 => {
                members.push(&body[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    members.push(&body[start..]);
    members.into_iter().map(str::trim).filter(|member| !member.is_empty()).collect()
}

/// The scalar type and the number of components of `f32` or `vec4<f32>`.
fn scalar_or_vector(ty: &str) -> Option<(&'static str, u32)> {
    let (scalar, components) = match ty.strip_prefix("vec") {
        Some(rest) => {
            let (components, scalar) = rest.strip_suffix('>')?.split_once('<')?;
            (scalar, components.parse().ok().filter(|n| (2..=4).contains(n))?)
        }
        None => (ty, 1),
    };
    let scalar = ["u32", "i32", "f32"].into_iter().find(|known| *known == scalar)?;
    Some((scalar, components))
}
