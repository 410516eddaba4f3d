//! Layers that read outputs of earlier ones by name.

use gannet::export::{Part, onnx, torch};
use gannet::layers::{
    Add, Concat, Constant, Conv2d, Dense, Flatten, Keep, LeakyRelu, ModulatedConv2d, Relu, Reshape, Residual,
    SkipExcite, SpectralNorm,
};
use gannet::{Adam, Compiled, Gan, GanConfig, Layer, Objective, Padding, Reference, Sequential};

use crate::layers::{Bench, TRAINING, close, values};

#[test]
fn outputs_are_added_and_put_beside() {
    let start = || Sequential::new("m", [2]).add(Keep::new("x")).add(Dense::new(2).use_bias(false));
    let (x, kernel) = ([1.0, 2.0, -1.0, 0.5], vec![2.0, 1.0, -1.0, 3.0]);
    let y = [0.0, 7.0, -2.5, 0.5];
    let mut sum = Bench::of(&start().add(Add::new("x")));
    *sum.parameter("1.dense/kernel") = kernel.clone();
    close(&sum.run(&x, TRAINING, None).y, &[y[0] + x[0], y[1] + x[1], y[2] + x[2], y[3] + x[3]]);
    let mut beside = Bench::of(&start().add(Concat::new("x")));
    *beside.parameter("1.dense/kernel") = kernel;
    close(&beside.run(&x, TRAINING, None).y, &[y[0], y[1], x[0], x[1], y[2], y[3], x[2], x[3]]);
    for bench in [sum, beside] {
        bench.check_gradient(&x, TRAINING, None);
        bench.check_second_gradient(&x, TRAINING);
    }
}

/// By plain loops from the paper's figure, for sides that 4 divides, and others.
#[test]
fn excitation_is_its_definition() {
    for [h, w] in [[8, 4], [6, 5], [3, 2]] {
        let [from, channels] = [2, 3];
        let model = Sequential::new("m", [h, w, from])
            .add(Keep::new("map"))
            .add(Conv2d::new(channels, [1, 1]).stride([2, 2]).use_bias(false))
            .add(SkipExcite::new("map").negative_slope(0.25));
        let mut bench = Bench::of(&model);
        assert_eq!(bench.model.output().dims(), [h.div_ceil(2), w.div_ceil(2), channels]);
        let numbers = values(4096);
        let squeeze = numbers[..4 * 4 * from * channels].to_vec();
        let excite = numbers[100..100 + channels * channels].to_vec();
        let mix = numbers[200..200 + from * channels].to_vec();
        *bench.parameter("2.skip_excite/squeeze/kernel") = squeeze.clone();
        *bench.parameter("2.skip_excite/excite/kernel") = excite.clone();
        *bench.parameter("1.conv2d/kernel") = mix.clone();
        let x = &numbers[300..300 + 2 * h * w * from];
        let at = |n: usize, i: usize, j: usize, c: usize| x[((n * h + i) * w + j) * from + c];
        let mut expected = Vec::new();
        for n in 0..2 {
            let mut squeezed = vec![0.0; channels];
            for a in 0..4 {
                for b in 0..4 {
                    // Windows of PyTorch's adaptive pooling.
                    let rows = a * h / 4..((a + 1) * h).div_ceil(4);
                    let columns = b * w / 4..((b + 1) * w).div_ceil(4);
                    for c in 0..from {
                        let pixels = rows.clone().flat_map(|i| columns.clone().map(move |j| (i, j)));
                        let mean =
                            pixels.clone().map(|(i, j)| at(n, i, j, c)).sum::<f64>() / pixels.count() as f64;
                        for (k, sum) in squeezed.iter_mut().enumerate() {
                            *sum += mean * squeeze[((a * 4 + b) * from + c) * channels + k];
                        }
                    }
                }
            }
            let hidden: Vec<f64> = squeezed.iter().map(|x| if *x > 0.0 { *x } else { 0.25 * x }).collect();
            let gates: Vec<f64> = (0..channels)
                .map(|k| {
                    let z: f64 = (0..channels).map(|l| hidden[l] * excite[l * channels + k]).sum();
                    1.0 / (1.0 + (-z).exp())
                })
                .collect();
            for i in (0..h).step_by(2) {
                for j in (0..w).step_by(2) {
                    for (k, gate) in gates.iter().enumerate() {
                        let y: f64 = (0..from).map(|c| at(n, i, j, c) * mix[c * channels + k]).sum();
                        expected.push(y * gate);
                    }
                }
            }
        }
        close(&bench.run(x, TRAINING, None).y, &expected);
        let one = &x[..h * w * from];
        bench.check_gradient(one, TRAINING, None);
        bench.check_second_gradient(one, TRAINING);
    }
}

/// Each sample with a kernel of its own, modulated and demodulated as the paper writes it.
#[test]
fn modulation_is_its_definition() {
    for demodulate in [true, false] {
        let model = Sequential::new("m", [3])
            .add(Keep::new("w"))
            .add(Dense::new(2 * 3 * 2))
            .add(Reshape::new([2, 3, 2]))
            .add(ModulatedConv2d::new(4, [3, 2], "w").demodulate(demodulate).padding(Padding::Valid));
        // Two rows of pixels have no window of three.
        assert!(model.build().is_err());
        let model = Sequential::new("m", [3])
            .add(Keep::new("w"))
            .add(Dense::new(3 * 3 * 2))
            .add(Reshape::new([3, 3, 2]))
            .add(ModulatedConv2d::new(4, [3, 2], "w").demodulate(demodulate).padding(Padding::Valid));
        let mut bench = Bench::of(&model);
        let numbers = values(1024);
        let mut take = {
            let mut from = 0;
            move |len: usize| {
                from += len;
                numbers[from - len..from].to_vec()
            }
        };
        let (dense, kernel, bias) = (take(3 * 18), take(3 * 2 * 2 * 4), take(4));
        let (affine, shift) = (take(3 * 2), take(2));
        assert_eq!(*bench.parameter("3.modulated_conv2d/style/bias"), [1.0, 1.0]);
        for (name, values) in [
            ("1.dense/kernel", &dense),
            ("3.modulated_conv2d/kernel", &kernel),
            ("3.modulated_conv2d/bias", &bias),
            ("3.modulated_conv2d/style/kernel", &affine),
            ("3.modulated_conv2d/style/bias", &shift),
        ] {
            *bench.parameter(name) = values.clone();
        }
        let x = take(6);
        let mut expected = Vec::new();
        for w in x.chunks_exact(3) {
            let image: Vec<f64> = (0..18).map(|o| (0..3).map(|i| w[i] * dense[i * 18 + o]).sum()).collect();
            let style: Vec<f64> =
                (0..2).map(|c| (0..3).map(|i| w[i] * affine[i * 2 + c]).sum::<f64>() + shift[c]).collect();
            let mut own = kernel.clone();
            for (at, weight) in own.iter_mut().enumerate() {
                *weight *= style[at / 4 % 2];
            }
            if demodulate {
                for f in 0..4 {
                    let norm = (own.iter().skip(f).step_by(4).map(|x| x * x).sum::<f64>() + 1e-8).sqrt();
                    own.iter_mut().skip(f).step_by(4).for_each(|x| *x /= norm);
                }
            }
            // Two windows beside one another.
            for j in 0..2 {
                for (f, bias) in bias.iter().enumerate() {
                    let mut sum = *bias;
                    for (at, weight) in own.iter().enumerate().filter(|(at, _)| at % 4 == f) {
                        let (u, v, c) = (at / 16, at / 8 % 2, at / 4 % 2);
                        sum += weight * image[(u * 3 + j + v) * 2 + c];
                    }
                    expected.push(sum);
                }
            }
        }
        close(&bench.run(&x, TRAINING, None).y, &expected);
        bench.check_gradient(&x, TRAINING, None);
        bench.check_second_gradient(&x, TRAINING);
    }
    let message = |model: Sequential| model.build().unwrap_err().to_string();
    let start = || Sequential::new("m", [2, 2, 3]).add(Keep::new("map"));
    let error = message(start().add(ModulatedConv2d::new(1, [1, 1], "map")));
    assert!(
        error.contains("from: the output \"map\" has the shape [2, 2, 3]") && error.contains("a vector, [n]"),
        "{error}"
    );
}

/// Samples differ by what was kept alone.
#[test]
fn a_constant_takes_the_place_of_the_input() {
    let model = Sequential::new("m", [2]).add(Keep::new("z")).add(Constant::new([2])).add(Add::new("z"));
    let mut bench = Bench::of(&model);
    *bench.parameter("1.constant/constant") = vec![10.0, 20.0];
    let x = [1.0, 2.0, 3.0, 4.0];
    close(&bench.run(&x, TRAINING, None).y, &[11.0, 22.0, 13.0, 24.0]);
    bench.check_gradient(&x, TRAINING, None);
    let kept = Sequential::new("m", [2]).add(Keep::new("z"));
    let error = kept.add(Constant::new([0])).build().unwrap_err().to_string();
    assert!(error.contains("layer 1 (constant): the shape [0]"), "{error}");
    let error = Sequential::new("m", [2]).add(Constant::new([2])).build().unwrap_err().to_string();
    assert!(error.contains("layer 0 (constant): all samples would be alike: expected { keep"), "{error}");
}

#[test]
fn blocks_keep_and_read_outputs_too() {
    // (x + relu(x)) + x, and what the block kept is added once more.
    let block = Residual::new().add(Relu::new()).add(Keep::new("positive")).add(Add::new("x"));
    let model = Sequential::new("m", [2]).add(Keep::new("x")).add(block).add(Add::new("positive"));
    let got = Bench::of(&model).run(&[1.0, -2.0], TRAINING, None);
    close(&got.y, &[4.0, -4.0]);
    // The shortcut comes behind the layers.
    let block = Residual::new().add(Keep::new("inner")).shortcut(Add::new("inner"));
    let got = Bench::of(&Sequential::new("m", [2]).add(block)).run(&[1.0, -2.0], TRAINING, None);
    close(&got.y, &[3.0, -6.0]);
}

#[test]
fn what_does_not_fit_is_named_with_what_would() {
    let message = |model: Sequential| model.build().unwrap_err().to_string();
    let model = || {
        Sequential::new("g", [4])
            .add(Keep::new("z"))
            .add(Dense::new(12))
            .add(Reshape::new([2, 2, 3]))
            .add(Keep::new("map"))
    };
    let reading = |layer: &str| format!("layer 4 ({layer}): from: ");
    for (error, expected) in [
        (
            message(model().add(Add::new("mop"))),
            vec![reading("add"), "there is no output \"mop\"; there are: \"z\" [4], \"map\" [2, 2, 3]".into()],
        ),
        (
            message(model().add(Concat::new("w")).add(Keep::new("w"))),
            vec![
                reading("concat"),
                "the output \"w\" is kept by layer 5.keep, behind the one that reads it; there are: \"z\"".into(),
            ],
        ),
        (
            message(model().add(Keep::new("z"))),
            vec![
                "layer 4 (keep): as: the output \"z\" is kept already by layer 0.keep".into(),
                "there are: \"z\" [4], \"map\" [2, 2, 3]".into(),
            ],
        ),
        (
            message(model().add(Add::new("z"))),
            vec![
                reading("add"),
                "\"z\" has the shape [4], which does not fit: expected the shape of what it is added to, [2, 2, 3]"
                    .into(),
                "these do: \"map\"".into(),
            ],
        ),
        (
            message(model().add(Conv2d::new(3, [2, 2])).add(Concat::new("map"))),
            vec![
                "layer 5 (concat): from: ".into(),
                "\"map\" has the shape [2, 2, 3]".into(),
                "expected that of [1, 1, 3] in all axes but the last; none of the outputs before".into(),
            ],
        ),
        (
            message(model().add(SkipExcite::new("z"))),
            vec![reading("skip_excite"), "expected that of a map, [height, width, channels]; these do: \"map\"".into()],
        ),
        (message(model().add(SkipExcite::new("map").negative_slope(-1.0))), vec!["negative_slope must be".into()]),
        (
            message(model().add(Flatten::new()).add(SkipExcite::new("map"))),
            vec!["layer 5 (skip_excite): expected an input of shape [height, width, channels], got [12]".into()],
        ),
        (message(Sequential::new("g", [4]).add(Keep::new(""))), vec!["layer 0 (keep): as: a name".into()]),
        (
            message(Sequential::new("g", [4]).add(Add::new("x"))),
            vec!["there is no output \"x\"; there are none before this layer: { keep = { as = ".into()],
        ),
        (
            message(model().add(Residual::new().add(Relu::new()).add(Add::new("z")))),
            vec!["layer 4 (residual): its layer 1 (add): from: ".into(), "these do: \"map\"".into()],
        ),
        (
            message(model().add(SpectralNorm::new(SkipExcite::new("none")))),
            vec!["layer 4 (spectral_norm): skip_excite: from: there is no output \"none\"".into()],
        ),
        (message(model().add(SpectralNorm::new(Add::new("map")))), vec!["'add' has no weights".into()]),
    ] {
        assert!(expected.iter().all(|words| error.contains(words)), "{error}\nexpected: {expected:?}");
    }
    // Outside of a model nothing is known of other layers.
    let alone = Add::new("x").output_shape([2].into()).unwrap_err().to_string();
    assert!(alone.contains("\"x\" has no shape outside of a model"), "{alone}");
}

/// A generator whose levels are joined in every way, and a critic with a normalised one.
const FILE: &str = r#"
batch_size = 2
penalties = [{ r1 = { gamma = 1.0, every = 1 } }]
[generator]
input = [3]
layers = [
  { dense = { units = 32 } },
  { reshape = { shape = [4, 4, 2] } },
  { keep = { as = "coarse" } },
  { upsample_nearest = {} },
  { residual = { layers = [{ conv2d = { filters = 2, kernel = [3, 3], padding = "same" } }, { keep = { as = "fine" } }] } },
  { skip_excite = { from = "coarse" } },
  { concat = { from = "fine" } },
  { conv2d = { filters = 1, kernel = [1, 1], activation = "tanh" } },
]
[discriminator]
input = [8, 8, 1]
layers = [
  { keep = { as = "image" } },
  { conv2d = { filters = 1, kernel = [3, 3], padding = "same" } },
  { leaky_relu = { negative_slope = 0.2 } },
  { add = { from = "image" } },
  { spectral_norm = { layer = { skip_excite = { from = "image", negative_slope = 0.2 } } } },
  "flatten",
  { dense = { units = 1 } },
]
"#;

#[test]
fn model_files_name_outputs() {
    let config = GanConfig::from_toml(FILE).unwrap();
    let backend = Reference::<f64>::new();
    let mut gan = Gan::new(&backend, config).unwrap();
    let names: Vec<&str> = gan.tensors().map(|(name, _)| name).collect();
    for name in ["generator/5.skip_excite/squeeze/kernel", "discriminator/4.spectral_norm/excite/kernel"] {
        assert!(names.contains(&name), "{names:?}");
    }
    let real: Vec<f64> = values(2 * 64).iter().map(|x| x.tanh()).collect();
    gan.train_on_batch(&real, None).unwrap();
    // What is written is read again, and goes on alike.
    let mut again = Gan::from_file(&backend, &gan.to_file().unwrap()).unwrap();
    let text = gan.config().to_toml().unwrap();
    assert!(text.contains("as = \"coarse\"") && text.contains("from = \"coarse\""), "{text}");
    assert_eq!(again.config().to_toml().unwrap(), text);
    let [a, b] = [&mut gan, &mut again].map(|gan| {
        gan.train_on_batch(&real, None).unwrap();
        gan.generate(&gan.latents(3, 1), None).unwrap()
    });
    assert_eq!(a, b);

    let message = |from: &str, to: &str| {
        assert!(FILE.contains(from), "{from}");
        GanConfig::from_toml(&FILE.replacen(from, to, 1)).unwrap_err().to_string()
    };
    let line = |word: &str| FILE.lines().position(|line| line.contains(word)).unwrap() + 1;
    for (from, to, at, words) in [
        (
            "{ concat = { from = \"fine\"",
            "{ concat = { from = \"fin\"",
            "concat",
            "no output \"fin\"; there are: \"coarse\" [4, 4, 2], \"fine\" [8, 8, 2]",
        ),
        (
            "as = \"fine\"",
            "as = \"coarse\"",
            "residual",
            "its layer 1 (keep): as: the output \"coarse\" is kept already by layer 2.keep",
        ),
        ("{ add = { from = \"image\" } }", "\"add\"", "\"add\"", "missing field `from`"),
        (
            "{ keep = { as = \"image\" } }",
            "{ keep = { name = \"image\" } }",
            "as = \"image\"",
            "unknown field `name`, expected `as`",
        ),
    ] {
        let found = message(from, to);
        let place = if at == "\"add\"" { line("add = ") } else { line(at) };
        assert!(found.contains(&format!("line {place}: ")) && found.contains(words), "{found}");
    }
}

/// A single model reads names too, from a file as well.
#[test]
fn single_models_have_names() {
    let model = Sequential::new("m", [2])
        .add(Keep::new("x"))
        .add(Dense::new(4))
        .add(LeakyRelu::new(0.2))
        .add(Concat::new("x"))
        .add(Dense::new(1));
    let backend = Reference::<f64>::new();
    let mut compiled = model.compile(&backend, Objective::MeanSquaredError, Adam::new(1e-2)).unwrap();
    let x = values(16);
    let y: Vec<f64> = x.chunks_exact(2).map(|x| x[0] * x[1]).collect();
    compiled.train_on_batch(&x, &y).unwrap();
    let mut again = Compiled::from_file(&backend, &compiled.to_file().unwrap()).unwrap();
    assert_eq!(again.predict(&x).unwrap(), compiled.predict(&x).unwrap());
}

/// The values that exported models read are those that were kept.
#[test]
fn exports_read_what_was_kept() {
    let config = GanConfig::from_toml(FILE).unwrap();
    let gan = Gan::new(&Reference::<f32>::new(), config).unwrap();
    let class = torch::export(&gan, Part::Generator, "g.safetensors").unwrap().class;
    for line in [
        "keep_2 = x\n",
        "self.skip_excite_5_squeeze = nn.Conv2d(2, 2, (4, 4), bias=False)",
        "gate = self.skip_excite_5_squeeze(F.adaptive_avg_pool2d(keep_2.permute(0, 3, 1, 2), 4))",
        "residual_4_keep_1 = x\n",
        "x = torch.cat([x, residual_4_keep_1], 1)",
    ] {
        assert!(class.contains(line), "{line}\n{class}");
    }
    for part in [Part::Generator, Part::Discriminator] {
        assert!(onnx::export(&gan, part).is_ok());
        let file = torch::export(&gan, part, "m.safetensors").unwrap();
        let state = torch::StateDict::parse(&file.weights).unwrap();
        let mut other = Gan::new(&Reference::<f32>::new(), gan.config().clone().seed(5)).unwrap();
        let before = torch::export(&other, part, "m.safetensors").unwrap().weights;
        torch::import(&mut other, part, &state).unwrap();
        let again = torch::export(&other, part, "m.safetensors").unwrap().weights;
        assert!(file.weights == again && file.weights != before, "{part}");
    }
}
