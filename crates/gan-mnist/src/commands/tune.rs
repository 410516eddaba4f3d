//! `gan-mnist tune`: which tiles of products are fastest on a GPU.

use std::path::PathBuf;

use clap::Args;
use gannet::recipe::{Capacity, Pictures};
use gannet::{Backend, Gan, GanConfig};
use gannet_gpu::{Product, Tile, TileTimes, Tiles, Wgpu, products};

use crate::arguments::{
    DEFAULT_PRESET, DeviceArgs, DeviceChoice, capacity, image_size, preset, whole_number,
};
use crate::device::{Device, TILES, plain_gpu};
use crate::error::{Error, Result};
use crate::recipe::{self, PICTURES, Recipe};
use crate::terminal::{counted, note, say};
use crate::tiles_file::TilesFile;

/// The flags of `tune`.
#[derive(Debug, Clone, Args)]
pub struct TuneArgs {
    /// Whose products to time [default: cdcgan, or pictures with --image-size]
    #[arg(long, value_name = "PRESET", value_parser = preset())]
    pub preset: Option<String>,
    /// Whose products to time instead: a model file, such as `presets NAME` prints
    #[arg(long, value_name = "FILE.toml", conflicts_with = "preset")]
    pub model: Option<PathBuf>,
    /// For networks that are made for their pictures: of S x S pixels, or WIDTHxHEIGHT
    #[arg(long, value_name = "S|WxH", value_parser = image_size, allow_negative_numbers = true)]
    pub image_size: Option<(usize, usize)>,
    /// The same: how large the networks are [default: medium]
    #[arg(long, value_name = "CAPACITY", value_parser = capacity(), requires = "image_size")]
    pub capacity: Option<Capacity>,
    /// Images per step, or in each micro-batch of one [default: the preset's]
    #[arg(long, value_name = "B", value_parser = whole_number(1, 4096), allow_negative_numbers = true)]
    pub batch_size: Option<u64>,
    /// Micro-batches of a step [default: 1, or what the model file says]
    #[arg(long, value_name = "A", value_parser = whole_number(1, 4096), allow_negative_numbers = true)]
    pub accumulate: Option<u64>,
    #[allow(missing_docs)]
    #[command(flatten)]
    pub device: DeviceArgs,
    /// Print what would be chosen, and keep nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// The steps that are looked at, at most: penalties and the generator's turns come back after fewer.
const LONGEST_CYCLE: u64 = 64;

/// Pictures that networks are made for: their number decides how many groups there are, which no product depends on much.
const COUNT: usize = 10_000;
const CHANNELS: usize = 3;

/// A product of a model, and how many dispatches of an average step it is; none where it is only drawn with.
struct Timed {
    product: Product,
    per_step: f64,
}

/// Times the products of a model by each tile, and keeps the fastest for later runs on this adapter.
pub fn run(args: &TuneArgs) -> Result<()> {
    if !matches!(args.device.device, DeviceChoice::Auto | DeviceChoice::Gpu) {
        return Err(Error::usage("tune measures a GPU; choose one with --adapter"));
    }
    if std::env::var_os(TILES).is_some() {
        return Err(Error::Usage(format!(
            "{TILES} is set, and asks for one tile everywhere; tune compares them: unset it"
        )));
    }
    let config = configure(args)?;
    let gpu = plain_gpu(&args.device)?;
    let file = if args.dry_run { None } else { Some(TilesFile::of(&gpu)?) };
    let (name, batch_size) = (config.name.clone(), config.batch_size);
    let list = products_of(&gpu, config)?;
    if list.is_empty() {
        return Err(Error::failure(format!("{name} has no products that are computed in tiles")));
    }
    let clock = if gpu.has_timestamps() { "timestamps of the device" } else { "the clock of the host" };
    say(&format!("{name}, batches of {batch_size}, on {}, by {clock}", gpu.describe()));
    let peak = gpu.measure_peak().map_err(Error::failure)?.fma_gflops;
    say(&format!("peak: {peak:.0} GFLOP/s of multiply-adds, measured; times in microseconds"));
    let heads = Tile::ALL.map(|tile| format!("{:>9}", tile.name())).join(" ");
    say(&format!(
        "{:<56} {:>6} {heads}  {:<6} {:<6} {:>8} {:>5}",
        "product", "a step", "rule", "chosen", "GFLOP/s", "peak"
    ));
    gpu.prepare_tiles(list.iter().map(|timed| &timed.product)).map_err(Error::failure)?;
    let (mut chosen, mut by_rule, mut as_chosen) = (Tiles::new(), 0.0, 0.0);
    for Timed { product, per_step } in &list {
        let times = gpu.time_tiles(product).map_err(Error::failure)?;
        let best = times.best();
        say(&row(product, *per_step, &times, peak));
        by_rule += per_step * times.of(times.rule).unwrap_or_default();
        as_chosen += per_step * times.of(best).unwrap_or_default();
        chosen.insert(product.name.clone(), best);
    }
    if by_rule > 0.0 {
        say(&format!(
            "products of a step: {:.3} ms by the rule, {:.3} ms as chosen ({:.1} % less)",
            by_rule * 1e3,
            as_chosen * 1e3,
            100.0 * (1.0 - as_chosen / by_rule)
        ));
    }
    let Some(file) = file else {
        say("nothing is kept: a dry run");
        return Ok(());
    };
    keep(&file, chosen)
}

/// Adds what was chosen to what is known of this adapter.
fn keep(file: &TilesFile, chosen: Tiles) -> Result<()> {
    let mut tiles = file.read().unwrap_or_else(|error| {
        note(&error.line());
        None
    });
    let tiles = tiles.get_or_insert_default();
    tiles.extend(chosen);
    file.write(tiles)?;
    let products = counted(tiles.len() as u64, "product");
    say(&format!("kept: {products} in {}, which later runs on this adapter use", file.path().display()));
    Ok(())
}

/// What is to be timed.
fn configure(args: &TuneArgs) -> Result<GanConfig> {
    let default = if args.image_size.is_some() { PICTURES } else { DEFAULT_PRESET };
    let preset = args.preset.as_deref().unwrap_or(default);
    let what = || args.model.as_ref().map_or(preset.to_owned(), |path| path.display().to_string());
    let mut config = match (recipe::read(preset, args.model.as_deref())?, args.image_size) {
        (Recipe::Plain(config), None) => *config,
        (Recipe::Following(following), Some((height, width))) => {
            let pictures = Pictures { height, width, channels: CHANNELS, classes: None, count: COUNT };
            following.for_pictures(PICTURES, &pictures, args.capacity.unwrap_or_default())?
        }
        (Recipe::Plain(_), Some(_)) => {
            return Err(Error::Usage(format!(
                "--image-size is for networks that are made for their pictures, and {} has a size of its own",
                what()
            )));
        }
        (Recipe::Following(_), None) => {
            return Err(Error::Usage(format!(
                "{} follows its pictures: say how large they are, such as --image-size 64",
                what()
            )));
        }
    };
    if let Some(batch_size) = args.batch_size {
        config.batch_size = batch_size as usize;
    }
    if let Some(accumulate) = args.accumulate {
        config.accumulate = accumulate;
    }
    Ok(config)
}

/// The products of all steps of a model and of drawing with it, those first that do the most work.
fn products_of(gpu: &Wgpu, mut config: GanConfig) -> Result<Vec<Timed>> {
    let cycle = config.penalties.iter().map(|penalty| penalty.every()).max().unwrap_or(1);
    let cycle = cycle.max(config.discriminator_steps).clamp(1, LONGEST_CYCLE);
    config.steps.get_or_insert(cycle);
    let mut gan = Gan::new(&Device::Gpu(gpu.clone()), config)?;
    let mut list: Vec<Timed> = Vec::new();
    let mut add = |found: Vec<Product>, each: f64| {
        for product in found {
            let per_step = each * product.count as f64;
            match list.iter_mut().find(|known| known.product.name == product.name) {
                Some(known) => known.per_step += per_step,
                None => list.push(Timed { product, per_step }),
            }
        }
    };
    for step in 0..cycle {
        gan.set_step(step)?;
        for (plan, runs) in gan.plans()? {
            add(products(plan).map_err(Error::failure)?, runs as f64 / cycle as f64);
        }
    }
    if gan.inputs().is_empty() {
        add(products(gan.sampling_plan()?).map_err(Error::failure)?, 0.0);
    }
    let work = |timed: &Timed| (timed.per_step * timed.product.flops as f64, timed.product.flops);
    list.sort_by(|a, b| work(b).0.total_cmp(&work(a).0).then(work(b).1.cmp(&work(a).1)));
    Ok(list)
}

fn row(product: &Product, per_step: f64, times: &TileTimes, peak: f64) -> String {
    let microseconds = |tile| match times.of(tile) {
        Some(seconds) => format!("{:>9.1}", seconds * 1e6),
        None => format!("{:>9}", "-"),
    };
    let best = times.best();
    let gflops = product.flops as f64 / times.of(best).unwrap_or(f64::INFINITY) / 1e9;
    let per_step = if per_step == 0.0 { "-".into() } else { format!("{per_step:.1}") };
    format!(
        "{:<56} {per_step:>6} {}  {:<6} {:<6} {gflops:>8.1} {:>4.0}%",
        product.name,
        Tile::ALL.map(microseconds).join(" "),
        times.rule.name(),
        best.name(),
        100.0 * gflops / peak,
    )
}

#[cfg(test)]
mod tests {
    use crate::cli::Command;
    use crate::parse::{Parsed, parse};

    use super::*;

    fn configured(line: &str) -> Result<GanConfig> {
        let Parsed::Run(cli) = parse(format!("gan-mnist tune {line}").split_whitespace()) else {
            panic!("{line}")
        };
        let Some(Command::Tune(args)) = cli.command else { panic!("{line}") };
        configure(&args)
    }

    #[test]
    fn models_have_their_size_or_are_given_one() {
        let config = configured("--batch-size 3 --accumulate 2").unwrap();
        assert_eq!((config.name.as_str(), config.batch_size, config.accumulate), (DEFAULT_PRESET, 3, 2));
        for line in [
            "--image-size 48x16",
            "--image-size 48x16 --capacity small",
            "--preset pictures --image-size 48x16",
        ] {
            let (generator, _) = configured(line).unwrap().build().unwrap();
            assert_eq!(generator.output().dims(), [16, 48, 3], "{line}");
        }
        let channels = |line| configured(line).unwrap().to_toml().unwrap();
        assert_ne!(channels("--image-size 32"), channels("--image-size 32 --capacity large"));
        assert!(
            configured("--preset dcgan --image-size 32").is_err() && configured("--preset pictures").is_err()
        );
    }

    #[test]
    fn a_row_says_the_times_and_both_choices() {
        let graph = gannet::Graph::new();
        let y = graph.input("x", [100, 40]).matmul(graph.input("w", [40, 6]));
        let plan = graph.plan().output("y", y).build().unwrap();
        let product = &products(&plan).unwrap()[0];
        let times = TileTimes { rule: Tile::Plain, seconds: vec![(Tile::Plain, 1e-6)] };
        let row = row(product, 0.0, &times, 96.0);
        let words: Vec<&str> = row.split_whitespace().collect();
        // 48,000 operations in a microsecond.
        assert_eq!(
            words,
            ["matmul_nn", "100x6x40", "-", "1.0", "-", "-", "-", "plain", "plain", "48.0", "50%"]
        );
    }
}
