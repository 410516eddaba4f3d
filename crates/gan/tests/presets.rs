//! Every preset trains.

use gannet::{Cpu, Gan, GanConfig, Losses, Reference, Stream, presets};

/// A preset with layers of a few channels: numbers of units, filters and channels in its model file are divided.
fn narrow(name: &str) -> GanConfig {
    let mut text = String::new();
    for line in presets::text(name).unwrap().lines() {
        let mut line = line.to_owned();
        // Dense layers in front of a Reshape, and the Reshape's channels, by the same factor.
        for (from, to) in [
            ("units = 6272", "units = 196"),
            ("units = 12544", "units = 196"),
            ("units = 4096", "units = 64"),
            ("units = 3136", "units = 196"),
            ("[7, 7, 128]", "[7, 7, 4]"),
            ("[7, 7, 256]", "[7, 7, 4]"),
            ("[7, 7, 64]", "[7, 7, 4]"),
            ("[4, 4, 256]", "[4, 4, 4]"),
            ("filters = 256", "filters = 4"),
            ("filters = 128", "filters = 4"),
            ("filters = 64", "filters = 4"),
            ("filters = 48", "filters = 4"),
            ("filters = 32,", "filters = 3,"),
        ] {
            line = line.replace(from, to);
        }
        text.push_str(&line);
        text.push('\n');
    }
    let mut config = GanConfig::from_toml(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
    config.batch_size = 4;
    config.steps = Some(STEPS);
    config
}

const STEPS: u64 = 50;

fn train<B: gannet::Backend>(backend: &B, config: GanConfig) -> Vec<Losses> {
    use gannet::Element;
    let mut gan = Gan::new(backend, config).unwrap();
    let (pixels, classes) = (gan.image_shape().len(), gan.classes());
    let n = gan.config().batch_size;
    let losses = (0..STEPS)
        .map(|step| {
            let mut stream = Stream::new(3, "images", step);
            let labels: Vec<u32> = (0..n).map(|_| stream.below(10)).collect();
            let real: Vec<B::Element> =
                (0..n * pixels).map(|_| B::Element::of(stream.uniform(-1.0, 1.0))).collect();
            gan.train_on_batch(&real, classes.map(|_| labels.as_slice())).unwrap()
        })
        .collect();
    let labels = classes.map(|_| vec![3; 2]);
    let images = gan.generate(&gan.latents(2, 1), labels.as_deref()).unwrap();
    assert!(images.iter().all(|x| x.to_f64().abs() <= 1.0));
    losses
}

/// 50 steps of each at narrow width: in double precision by the reference, in single precision by the CPU backend, with
/// losses that agree as long as rounding has not been amplified by training.
#[test]
fn every_preset_trains_and_both_precisions_agree() {
    let cpu = Cpu::new().unwrap();
    for name in presets::names() {
        let (double, single) = (train(&Reference::<f64>::new(), narrow(name)), train(&cpu, narrow(name)));
        for (step, (a, b)) in double.iter().zip(&single).enumerate() {
            // Rounding grows as training goes on.
            let tolerance = 1e-3 * (1.0 + step as f64);
            for (a, b) in [(a.d_real, b.d_real), (a.d_fake, b.d_fake), (a.g, b.g)] {
                let error = (a - b).abs() / (1.0 + a.abs());
                assert!(error < tolerance, "{name}, step {step}: {a} and {b}");
            }
        }
        assert_ne!(double[0], double[STEPS as usize - 1], "{name} moves");
    }
}

#[test]
fn the_reference_step_has_the_layers_of_its_description() {
    let mut config = presets::get("dcgan").unwrap();
    config.steps = Some(1);
    let (generator, discriminator) = config.build().unwrap();
    assert_eq!(generator.parameter_count(), 100 * 6272 + 2 * 128 + 16 * 64 * 128 + 2 * 64 + 16 * 64 + 1);
    assert_eq!(discriminator.parameter_count(), 16 * 64 + 64 + 16 * 64 * 128 + 2 * 128 + 6272 + 1);
    assert!(generator.summary().contains("7.conv_transpose2d  (None, 28, 28, 1)"), "{}", generator.summary());
}
