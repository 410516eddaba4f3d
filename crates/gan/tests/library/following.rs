//! Model files that follow their pictures.

use gannet::GanConfig;
use gannet::recipe::{Capacity, MODEL_FILE, Pictures};

fn pictures(height: usize, width: usize) -> Pictures {
    Pictures { height, width, channels: 3, classes: None, count: 3000 }
}

/// The layers of a network as model files name them.
fn kinds(config: &GanConfig) -> Vec<String> {
    let (_, discriminator) = config.build().unwrap();
    discriminator.layers().map(|(name, _)| name.to_owned()).collect()
}

const SMALL: &str = r#"
batch_size = 4

[pictures]
coarsest_side = 8
channels = 24

[generator]
input = [5]
layers = [
  { dense = { units = "coarsest" } },
  { reshape = { shape = "coarsest" } },
  { levels = { up = [
    { conv_transpose2d = { filters = "channels * 2", kernel = [4, 4], stride = [2, 2], padding = "same" } },
    { conv2d = { filters = "channels", kernel = [1, 1] } },
  ] } },
  { conv2d = { filters = "image", kernel = [1, 1] } },
]

[discriminator]
input = "image"
layers = [
  # Told first, and only where there is something to tell. (Commas, here, change nothing.)
  { label = { classes = "data" } } # as one-hot maps
  ,
  { levels = { down = [ { conv2d = { filters = "channels / 5", kernel = [4, 4], stride = [2, 2], padding = "same" } } ] } },
  { residual = { layers = [ { conv2d = { filters = "coarsest / 5", kernel = [1, 1] } } ] } },
  "flatten",
  { projection = { classes = "data" } },
]
"#;

#[test]
fn words_are_numbers_and_levels_are_layers() {
    let without = SMALL.replacen("  { label = { classes = \"data\" } } # as one-hot maps\n  ,\n", "", 1);
    let few = Pictures { count: 10, ..pictures(32, 64) };
    for text in [SMALL, &without] {
        let config = GanConfig::from_toml_for(text, &few, Capacity::Large).unwrap();
        let (generator, discriminator) = config.build().unwrap();
        assert_eq!(generator.output().dims(), [32, 64, 3]);
        let outputs: Vec<Vec<usize>> = generator.layers().map(|(_, shape)| shape.dims().to_vec()).collect();
        assert_eq!(
            outputs,
            [
                vec![8 * 16 * 24],
                vec![8, 16, 24],
                vec![16, 32, 24],
                vec![16, 32, 12],
                vec![32, 64, 12],
                vec![32, 64, 6],
                vec![32, 64, 3]
            ]
        );
        // Nothing is told of ten pictures without classes.
        assert_eq!(discriminator.classes(), None);
        assert_eq!(kinds(&config), ["0.conv2d", "1.conv2d", "2.residual", "3.flatten", "4.dense"]);
        let maps: Vec<Vec<usize>> =
            discriminator.layers().take(3).map(|(_, shape)| shape.dims().to_vec()).collect();
        assert_eq!(maps, [[16, 32, 2], [8, 16, 4], [8, 16, 4]]);
        assert_eq!(config.description, "made for pictures of 64 x 32 x 3, large capacity");
    }
    let told = Pictures { classes: Some(2), ..few };
    let text = without
        .replace("input = [5]\nlayers = [", "input = [5]\nlayers = [\n  { label = { classes = 'data' } },");
    let config = GanConfig::from_toml_for(&text, &told, Capacity::Small).unwrap();
    assert_eq!(config.build().unwrap().0.classes(), Some(2));
    assert_eq!(kinds(&config)[4], "4.projection");
    // Plain numbers mean what they say.
    let plain = gannet::presets::text("dcgan").unwrap();
    let [a, b] =
        [GanConfig::from_toml(plain), GanConfig::from_toml_for(plain, &pictures(7, 7), Capacity::Small)];
    assert_eq!(a.unwrap().to_toml().unwrap(), b.unwrap().to_toml().unwrap());
    assert!(!GanConfig::follows_pictures(plain) && GanConfig::follows_pictures(SMALL));
}

#[test]
fn mistakes_are_found_in_the_lines_that_they_stand_in() {
    let message = |from: &str, to: &str| {
        assert!(SMALL.contains(from), "{from}");
        let text = SMALL.replacen(from, to, 1);
        let error =
            GanConfig::from_toml_for(&text, &pictures(64, 64), Capacity::Small).unwrap_err().to_string();
        let line = text[..text.find(to).unwrap()].matches('\n').count() + 1;
        assert!(error.contains(&format!("line {line}: ")), "line {line}: {error}");
        error
    };
    let all = |error: String, parts: &[&str]| {
        assert!(parts.iter().all(|part| error.contains(part)), "{error}\nexpected {parts:?}");
    };
    all(
        message("\"channels * 2\"", "\"chanels\""),
        &["\"chanels\" stands for no number", "\"channels * 2\""],
    );
    all(message("\"channels * 2\"", "\"channels * x\""), &["\"channels * x\""]);
    all(message("units = \"coarsest\"", "units = \"channels\""), &["among the layers of `levels`"]);
    all(message("shape = \"coarsest\"", "shape = \"image\""), &["`shape`", "\"coarsest\""]);
    all(message("input = \"image\"", "input = \"images\""), &["`input`", "\"image\""]);
    all(message("{ up = [", "{ upwards = ["), &["levels = { up = [..] }", "down"]);
    all(message("channels = 24", "channels = \"big\""), &["a number of channels", "\"capacity\""]);
    all(message("channels = 24", "chanels = 24"), &["unknown field `chanels`", "`least_share`"]);
    all(message("coarsest_side = 8", "coarsest_side = 0"), &["coarsest_side: expected a number from 1"]);
    all(message("channels = 24", "least_share = 2.0\nchannels = 24"), &["least_share", "from 0 to 1"]);
    // A mistake among repeated layers stands where it was written.
    all(message("{ filters = \"channels\", kernel", "{ filers = \"channels\", kernel"), &["filers"]);
    all(message("kernel = [1, 1] } },\n  ] } }", "kernel = [0, 1] } },\n  ] } }"), &["kernel"]);
    // A word for pictures without pictures.
    let error = GanConfig::from_toml(MODEL_FILE).unwrap_err().to_string();
    let line =
        MODEL_FILE.lines().position(|line| line.contains("\"data\"") && line.contains("parts =")).unwrap()
            + 1;
    all(error, &[&format!("line {line}: "), "follows the pictures of a run", "expected a number"]);
    let odd = GanConfig::from_toml_for(SMALL, &pictures(18, 21), Capacity::Small).unwrap_err().to_string();
    all(odd, &["cannot be halved 1 times", "22 x 18 can"]);
}
