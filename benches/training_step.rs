//! Whole training steps of the reference step's networks (the preset `dcgan`).

use gannet::{Backend, Element, Gan, presets};
use gannet_benches::{Devices, Peak, Table, Work, measure};
use gannet_tests::Random;

type Failure = Box<dyn std::error::Error>;

fn run<B: Backend>(
    table: &Table,
    batch_size: usize,
    device: &str,
    backend: &B,
    peak: Option<Peak>,
) -> Result<(), Failure> {
    let name = format!("training step, dcgan, batch {batch_size}");
    if !table.wants(&name, device) {
        return Ok(());
    }
    let mut config = presets::get("dcgan")?;
    config.batch_size = batch_size;
    let mut gan = Gan::new(backend, config)?;
    let plan = gan.prepare()?;
    let elements: usize = plan.instructions().iter().map(|i| i.traffic()).sum();
    let work = Work { flops: plan.flops(), bytes: (elements * size_of::<B::Element>()) as u64 };
    let real = Random::new(1).vector(batch_size * gan.image_shape().len());
    let real: Vec<B::Element> = real.into_iter().map(B::Element::of).collect();
    let failed = |error: gannet::Error| gannet_tensor::Error::new(error.to_string());
    let times = measure(|count| {
        for _ in 0..count {
            gan.train_step(&real, None).map_err(failed)?;
        }
        gan.losses().map(|_| ()).map_err(failed)
    })?;
    table.line(&name, device, times, work, peak);
    Ok(())
}

fn main() -> Result<(), Failure> {
    let devices = Devices::open()?;
    let table = Table::from_arguments();
    table.heading(&devices);
    let peak = Some(devices.peak);
    for batch_size in [32, 128, 512] {
        run(&table, batch_size, "cpu", &devices.cpu, peak)?;
        if let Some((gpu, peak)) = &devices.gpu {
            run(&table, batch_size, "gpu", gpu, Some(*peak))?;
        }
    }
    run(&table, 4, "reference", &devices.reference, peak)
}
