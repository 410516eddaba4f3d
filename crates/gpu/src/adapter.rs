//! Which adapters there are, and which of them to use.

use gannet_tensor::{Error, Result};
use wgpu::{DeviceType, Features};

/// An adapter as `gan-mnist devices` lists it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AdapterDescription {
    /// Position in the list; choosing by number takes this.
    pub index: usize,
    /// Name of the device.
    pub name: String,
    /// Driver, with its version.
    pub driver: String,
    /// Vulkan, Metal, DirectX 12.
    pub backend: String,
    /// Discrete, integrated, virtual, software, other.
    pub kind: &'static str,
    /// The largest buffer that one tensor may take, in bytes.
    pub max_tensor_bytes: u64,
    /// Workgroup memory of one workgroup in bytes.
    pub workgroup_memory: u32,
    /// Sizes of a subgroup.
    pub subgroup: (u32, u32),
    /// Optional features that matter to this engine.
    pub features: Vec<&'static str>,
}

/// A software adapter is slower than the CPU backend; it is only used when asked for.
fn is_software(info: &wgpu::AdapterInfo) -> bool {
    info.device_type == DeviceType::Cpu
}

fn instance() -> wgpu::Instance {
    // WGPU_BACKEND and the other variables of wgpu are honoured.
    wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle_from_env())
}

fn enumerate() -> Vec<wgpu::Adapter> {
    pollster::block_on(instance().enumerate_adapters(wgpu::Backends::all()))
}

/// All adapters that wgpu finds, in its order.
pub fn adapters() -> Vec<AdapterDescription> {
    enumerate().iter().enumerate().map(|(index, adapter)| describe(index, adapter)).collect()
}

/// Whether there is a GPU to choose automatically: any adapter but a software one.
pub fn has_gpu() -> bool {
    enumerate().iter().any(|adapter| !is_software(&adapter.get_info()))
}

/// The driver of an adapter, with its version.
pub(crate) fn driver(info: &wgpu::AdapterInfo) -> String {
    format!("{} {}", info.driver, info.driver_info).trim().to_string()
}

fn describe(index: usize, adapter: &wgpu::Adapter) -> AdapterDescription {
    let (info, limits, features) = (adapter.get_info(), adapter.limits(), adapter.features());
    let named = [
        (Features::TIMESTAMP_QUERY, "timestamps"),
        (Features::PIPELINE_CACHE, "pipeline cache"),
        (Features::SUBGROUP, "subgroups"),
        (Features::SHADER_F16, "f16"),
    ];
    AdapterDescription {
        index,
        name: info.name.clone(),
        driver: driver(&info),
        backend: info.backend.to_string(),
        kind: match info.device_type {
            DeviceType::DiscreteGpu => "discrete",
            DeviceType::IntegratedGpu => "integrated",
            DeviceType::VirtualGpu => "virtual",
            DeviceType::Cpu => "software",
            DeviceType::Other => "other",
        },
        max_tensor_bytes: limits.max_storage_buffer_binding_size.min(limits.max_buffer_size),
        workgroup_memory: limits.max_compute_workgroup_storage_size,
        subgroup: (info.subgroup_min_size, info.subgroup_max_size),
        features: named
            .iter()
            .filter(|(feature, _)| features.contains(*feature))
            .map(|(_, name)| *name)
            .collect(),
    }
}

/// The adapter that `choice` names: a position in the list, or part of a name or driver in any case. Without a
/// choice `WGPU_ADAPTER_NAME` decides, and without that the first GPU: discrete before integrated before others
/// (`WGPU_POWER_PREF=low`: integrated first), never a software adapter.
pub(crate) fn choose(choice: Option<&str>) -> Result<wgpu::Adapter> {
    let adapters = enumerate();
    let wanted = choice.map(str::to_string).or_else(|| std::env::var("WGPU_ADAPTER_NAME").ok());
    let infos: Vec<wgpu::AdapterInfo> = adapters.iter().map(|adapter| adapter.get_info()).collect();
    let found = match wanted.as_deref().map(str::trim).filter(|wanted| !wanted.is_empty()) {
        Some(wanted) => by_name(wanted, &infos),
        None => automatic(&infos),
    };
    match found {
        Some(position) => Ok(adapters[position].clone()),
        None => Err(Error::new(no_adapter(wanted.as_deref(), &infos))),
    }
}

fn by_name(wanted: &str, infos: &[wgpu::AdapterInfo]) -> Option<usize> {
    if let Ok(position) = wanted.parse::<usize>() {
        return (position < infos.len()).then_some(position);
    }
    let wanted = wanted.to_lowercase();
    let matches = |text: &str| text.to_lowercase().contains(&wanted);
    infos.iter().position(|info| matches(&info.name) || matches(&info.driver))
}

fn automatic(infos: &[wgpu::AdapterInfo]) -> Option<usize> {
    let low_power = wgpu::PowerPreference::from_env() == Some(wgpu::PowerPreference::LowPower);
    let rank = |info: &wgpu::AdapterInfo| match (info.device_type, low_power) {
        (DeviceType::DiscreteGpu, false) | (DeviceType::IntegratedGpu, true) => 0,
        (DeviceType::IntegratedGpu, false) | (DeviceType::DiscreteGpu, true) => 1,
        (DeviceType::VirtualGpu, _) => 2,
        _ => 3,
    };
    let candidates = infos.iter().enumerate().filter(|(_, info)| !is_software(info));
    candidates.min_by_key(|(position, info)| (rank(info), *position)).map(|(position, _)| position)
}

fn no_adapter(wanted: Option<&str>, infos: &[wgpu::AdapterInfo]) -> String {
    if infos.is_empty() {
        return "no GPU adapter was found: install a Vulkan, Metal or DirectX 12 driver, or use the cpu device".into();
    }
    let list: Vec<String> =
        infos.iter().enumerate().map(|(position, info)| format!("{position}: {}", info.name)).collect();
    let list = list.join(", ");
    match wanted {
        Some(wanted) => format!("no adapter matches '{wanted}'; there are {list}"),
        None => format!(
            "there is no GPU, only software adapters, which are slower than the cpu device; to use one \
             nevertheless, name it as the adapter: {list}"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(name: &str, device_type: DeviceType) -> wgpu::AdapterInfo {
        let mut info = wgpu::AdapterInfo::new(device_type, wgpu::Backend::Vulkan);
        info.name = name.into();
        info
    }

    #[test]
    fn software_is_only_used_by_name() {
        let infos = [info("llvmpipe (LLVM 15)", DeviceType::Cpu), info("Radeon", DeviceType::IntegratedGpu)];
        assert_eq!(automatic(&infos), Some(1));
        assert_eq!(automatic(&infos[..1]), None);
        assert_eq!(by_name("LLVMpipe", &infos), Some(0));
        assert_eq!(by_name("1", &infos), Some(1));
        assert_eq!(by_name("2", &infos), None);
        assert!(no_adapter(None, &infos[..1]).contains("0: llvmpipe"));
    }

    #[test]
    fn discrete_comes_first() {
        let infos = [info("a", DeviceType::IntegratedGpu), info("b", DeviceType::DiscreteGpu)];
        assert_eq!(automatic(&infos), Some(1));
    }
}
