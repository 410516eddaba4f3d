//! Validation with naga against what the engine requests of a device, and naga's reflection.

use crate::expand::Variant;
use crate::reflect::{Binding, Field, Reflection, Struct};
use naga::valid::{Capabilities, ValidationFlags, Validator};
use naga::{AddressSpace, ScalarKind, StorageAccess, TypeInner};

/// The engine requests no optional feature for its shaders.
pub(crate) fn capabilities() -> Capabilities {
    Capabilities::empty()
}

// WebGPU's default limits.
const MAX_STORAGE_BUFFERS: usize = 8;
const MAX_UNIFORM_SIZE: u32 = 64 << 10;
const MAX_WORKGROUP_STORAGE: u32 = 16 << 10;
const MAX_INVOCATIONS: u32 = 256;
const MAX_WORKGROUP_SIZE: [u32; 3] = [256, 256, 64];

/// Parses and validates one variant of the file `stem`; what naga sees in it.
pub(crate) fn check(stem: &str, variant: &Variant) -> Result<Reflection, String> {
    let source = variant.source();
    let place = |location: Option<naga::SourceLocation>| match location {
        Some(location) => {
            let column = location.line_position;
            match variant.origin(location.line_number as usize) {
                Some(line) => format!("shaders/{}:{}:{column}", line.file, line.number),
                None => format!("shaders/{stem}.wgsl:1:1"),
            }
        }
        None => format!("shaders/{stem}.wgsl:1:1"),
    };
    let module = naga::front::wgsl::parse_str(&source).map_err(|error| {
        format!("{}: error: {} (variant {})", place(error.location(&source)), error.message(), variant.name)
    })?;
    Validator::new(ValidationFlags::all(), capabilities()).validate(&module).map_err(|error| {
        let mut message = error.as_inner().to_string();
        let mut cause = std::error::Error::source(error.as_inner());
        while let Some(inner) = cause {
            message = format!("{message}: {inner}");
            cause = inner.source();
        }
        format!("{}: error: {message} (variant {})", place(error.location(&source)), variant.name)
    })?;
    reflect(&module)
        .map_err(|message| format!("shaders/{stem}.wgsl:1:1: error: {message} (variant {})", variant.name))
}

fn reflect(module: &naga::Module) -> Result<Reflection, String> {
    let [entry] = &module.entry_points[..] else {
        return Err(format!("expected one entry point, found {}", module.entry_points.len()));
    };
    if entry.stage != naga::ShaderStage::Compute {
        return Err("expected a compute shader".into());
    }
    let size = entry.workgroup_size;
    if size.iter().zip(MAX_WORKGROUP_SIZE).any(|(&size, max)| size > max)
        || size.iter().product::<u32>() > MAX_INVOCATIONS
    {
        return Err(format!("workgroup size {size:?} is over the limit of {MAX_INVOCATIONS} invocations"));
    }
    let layout = |ty: naga::Handle<naga::Type>| module.types[ty].inner.size(module.to_ctx());
    let (mut bindings, mut params, mut workgroup) = (Vec::new(), None, 0);
    for (_, variable) in module.global_variables.iter() {
        let name = variable.name.clone().unwrap_or_default();
        match variable.space {
            AddressSpace::WorkGroup => workgroup += layout(variable.ty),
            AddressSpace::Private => {}
            AddressSpace::Storage { access } => {
                let binding = variable.binding.as_ref().ok_or(format!("{name} has no binding"))?;
                let TypeInner::Array { size: naga::ArraySize::Dynamic, stride, .. } =
                    module.types[variable.ty].inner
                else {
                    return Err(format!("{name} should be a runtime-sized array"));
                };
                if binding.group != 0 {
                    return Err(format!("{name} should be in @group(0)"));
                }
                let writes = access.contains(StorageAccess::STORE);
                bindings.push(Binding { index: binding.binding, name, writes, stride });
            }
            AddressSpace::Uniform => {
                let binding = variable.binding.as_ref().ok_or(format!("{name} has no binding"))?;
                if params.is_some() || (binding.group, binding.binding) != (0, 0) {
                    return Err(format!("{name}: the one uniform should be @group(0) @binding(0)"));
                }
                params = Some(uniform(module, &name, variable.ty)?);
            }
            space => return Err(format!("{name} is in address space {space:?}")),
        }
    }
    // naga orders variables by their first use.
    bindings.sort_by_key(|binding: &Binding| binding.index);
    if let Some((index, binding)) = (1..).zip(&bindings).find(|(index, binding)| binding.index != *index) {
        return Err(format!("{} should be @binding({index}): bindings count from 1", binding.name));
    }
    if bindings.len() > MAX_STORAGE_BUFFERS {
        return Err(format!("{} storage buffers; the limit is {MAX_STORAGE_BUFFERS}", bindings.len()));
    }
    if workgroup > MAX_WORKGROUP_STORAGE {
        return Err(format!("{workgroup} bytes of workgroup memory; the limit is {MAX_WORKGROUP_STORAGE}"));
    }
    Ok(Reflection { entry: entry.name.clone(), workgroup_size: size, bindings, params })
}

fn uniform(module: &naga::Module, name: &str, ty: naga::Handle<naga::Type>) -> Result<Struct, String> {
    let TypeInner::Struct { members, span } = &module.types[ty].inner else {
        return Err(format!("uniform {name} should be a struct"));
    };
    if *span > MAX_UNIFORM_SIZE {
        return Err(format!("uniform {name} has {span} bytes; the limit is {MAX_UNIFORM_SIZE}"));
    }
    let fields = members
        .iter()
        .map(|member| {
            let field = member.name.clone().unwrap_or_default();
            let (element, array) = match module.types[member.ty].inner {
                TypeInner::Array { base, size: naga::ArraySize::Constant(count), stride } => {
                    (&module.types[base].inner, Some((count.get(), stride)))
                }
                ref inner => (inner, None),
            };
            let (scalar, components) = match element {
                TypeInner::Scalar(scalar) => (scalar, 1),
                TypeInner::Vector { size, scalar } => (scalar, *size as u32),
                _ => return Err(format!("{name}.{field} should be a scalar, a vector or an array of them")),
            };
            let scalar = match scalar.kind {
                ScalarKind::Uint => "u32",
                ScalarKind::Sint => "i32",
                ScalarKind::Float => "f32",
                kind => return Err(format!("{name}.{field} has elements of kind {kind:?}")),
            };
            Ok(Field { name: field, scalar, components, array, offset: member.offset })
        })
        .collect::<Result<_, _>>()?;
    let name = module.types[ty].name.clone().unwrap_or_default();
    Ok(Struct { name, size: *span, fields })
}
