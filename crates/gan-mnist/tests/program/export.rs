//! Models for other programs, and back.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use gannet::tensor_file::TensorFile;
use gannet::{Cpu, Gan, GanConfig, Stream, layers, presets};

use crate::program::{folder, names, run, trained};

/// Model files with layers that no preset has.
pub(crate) fn zoo() -> [String; 2] {
    ["zoo.toml", "embedding.toml"].map(|name| fs::read_to_string(peers().join(name)).unwrap())
}

fn peers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers")
}

/// Writes a model with random numbers in every tensor, none of them what it starts with.
pub(crate) fn random(config: GanConfig, path: &Path) {
    let mut gan = Gan::new(&Cpu::new().unwrap(), config).unwrap();
    let tensors: Vec<_> = gan.tensors().map(|(name, shape)| (name.to_owned(), shape)).collect();
    for (name, shape) in tensors.iter().filter(|(name, _)| !name.starts_with("optimiser/")) {
        let mut stream = Stream::new(1, name, 0);
        let inputs = shape.len() / shape.last();
        let mut draw = || match name.rsplit('/').next().unwrap() {
            "kernel" => stream.normal() * (2.0 / inputs as f64).sqrt(),
            "moving_variance" | "gamma" => stream.uniform(0.5, 1.5),
            "embeddings" | "kernel_u" | "embeddings_u" => stream.normal(),
            _ => stream.uniform(-0.3, 0.3),
        };
        gan.write_tensor(name, &(0..shape.len()).map(|_| draw() as f32).collect::<Vec<_>>()).unwrap();
    }
    gan.save(path).unwrap();
}

fn parse(text: &str) -> GanConfig {
    let mut config = GanConfig::from_toml(text).unwrap();
    config.steps = config.steps.or(Some(1));
    config
}

#[test]
fn the_zoo_has_every_kind_of_layer() {
    let text = zoo().concat();
    // Models that take a further input are not for the program.
    for kind in layers::KINDS.iter().filter(|kind| **kind != "concat_input") {
        let (plain, with_options) = (format!("\"{kind}\""), format!("{{ {kind} ="));
        assert!(text.contains(&plain) || text.contains(&with_options), "{kind}");
    }
}

/// Every layer is written in all formats, and what was written for PyTorch is read back bit for bit, both parts at once.
#[test]
fn what_is_exported_is_imported_again() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    for (number, text) in zoo().iter().enumerate() {
        fs::write(at("zoo.toml"), text).unwrap();
        random(parse(text), &at("model.safetensors"));
        for part in ["generator", "discriminator"] {
            for (format, extension) in
                [("safetensors-torch", "safetensors"), ("onnx", "onnx"), ("npz", "npz")]
            {
                let flags = format!("--format {format} --part {part} --out {part}.{extension}");
                let outcome = run(folder.path(), &format!("export model.safetensors {flags}")).success();
                assert!(outcome.stdout.contains(&format!("{part} of ")), "{}", outcome.stdout);
            }
            assert!(fs::read_to_string(at(&format!("{part}.py"))).unwrap().contains("(nn.Module):"));
        }
        // The order of the files does not matter: their tensors say what they are.
        let files = "discriminator.safetensors generator.safetensors";
        let line = format!("import {files} --model zoo.toml --out again.safetensors");
        let outcome = run(folder.path(), &line).success();
        assert_eq!(outcome.stderr, "", "{number}");
        for part in ["generator", "discriminator"] {
            let line = format!("export again.safetensors --format safetensors-torch --part {part}");
            run(folder.path(), &format!("{line} --out {part}-2.safetensors")).success();
            let [first, second] =
                ["", "-2"].map(|n| fs::read(at(&format!("{part}{n}.safetensors"))).unwrap());
            assert!(first == second, "{number}: {part}");
        }
    }
}

/// Layouts, checked against the model's own file element by element.
#[test]
fn weights_are_turned_into_pytorchs_layouts() {
    let folder = folder();
    let model = trained("cdcgan").join("model.safetensors");
    for part in ["generator", "discriminator"] {
        let flags = format!("--format safetensors-torch --part {part} --out {part}.safetensors");
        run(folder.path(), &format!("export {} {flags}", model.display())).success();
    }
    let ours = TensorFile::read(&model).unwrap();
    let read = |name: &str| TensorFile::read(folder.path().join(name)).unwrap();
    let (generator, discriminator) = (read("generator.safetensors"), read("discriminator.safetensors"));
    let tensor = |file: &TensorFile, name: &str| {
        let tensor = file.tensor(name).unwrap_or_else(|| panic!("{name}"));
        (tensor.shape.clone(), tensor.values.to::<f32>())
    };

    let (shape, kernel) = tensor(&ours, "ema/generator/5.conv_transpose2d/kernel");
    let [kh, kw, out, inp] = shape[..] else { panic!() };
    let (shape, weight) = tensor(&generator, "conv_transpose2d_5.weight");
    assert_eq!(shape, [inp, out, kh, kw]);
    for (i, o, y, x) in [(0, 0, 0, 0), (1, 2, 3, 0), (7, 0, 1, 2), (inp - 1, out - 1, kh - 1, kw - 1)] {
        let (a, b) = (((i * out + o) * kh + y) * kw + x, ((y * kw + x) * out + o) * inp + i);
        assert_eq!(weight[a], kernel[b], "{i} {o} {y} {x}");
    }
    let (shape, kernel) = tensor(&ours, "discriminator/2.conv2d/kernel");
    let [kh, kw, inp, out] = shape[..] else { panic!() };
    let (shape, weight) = tensor(&discriminator, "conv2d_2.weight");
    assert_eq!(shape, [out, inp, kh, kw]);
    for (o, i, y, x) in [(0, 0, 0, 0), (2, 1, 3, 0), (0, 7, 1, 2), (out - 1, inp - 1, kh - 1, kw - 1)] {
        let (a, b) = (((o * inp + i) * kh + y) * kw + x, ((y * kw + x) * inp + i) * out + o);
        assert_eq!(weight[a], kernel[b], "{o} {i} {y} {x}");
    }
    let (shape, kernel) = tensor(&ours, "ema/generator/1.dense/kernel");
    let (turned, weight) = tensor(&generator, "dense_1.weight");
    assert_eq!(turned, [shape[1], shape[0]]);
    assert_eq!(weight[3 * shape[0] + 5], kernel[5 * shape[1] + 3]);
    for (ours_name, name) in [
        ("gamma", "weight"),
        ("beta", "bias"),
        ("moving_mean", "running_mean"),
        ("moving_variance", "running_var"),
    ] {
        let ours = tensor(&ours, &format!("ema/generator/3.batch_norm/{ours_name}"));
        assert_eq!(tensor(&generator, &format!("batch_norm_3.{name}")), ours, "{name}");
    }
    let table = tensor(&ours, "discriminator/9.projection/embeddings");
    assert_eq!(tensor(&discriminator, "projection_9_embeddings.weight"), table);
    let class = fs::read_to_string(folder.path().join("generator.py")).unwrap();
    for line in [
        "latents [N, 64]\n    labels [N], whole numbers from 0 to 9\n",
        "the last of the 64 latents chooses one of 16 clusters of the class",
        "last = x.flatten(1)[:, -1].contiguous()",
        "labels = labels * 16 + torch.bucketize(last, self.cluster_bounds, right=True)",
        "x = torch.cat([x, 2.0 * F.one_hot(labels, 160).to(x.dtype)], 1)",
        "self.dense_1 = nn.Linear(224, 6272, bias=False)",
        "x = x.reshape(-1, 7, 7, 128)",
        "x = x.permute(0, 3, 1, 2)",
        "self.batch_norm_3 = nn.BatchNorm2d(128, eps=0.001, momentum=0.01)",
        "nn.ConvTranspose2d(128, 64, (4, 4), stride=(2, 2), padding=(1, 1), output_padding=(0, 0), bias=False)",
        "x = F.leaky_relu(x, 0.2)",
    ] {
        assert!(class.contains(line), "{line}\n{class}");
    }
}

/// What the exported models take is said: classes of the data, and the latent that chooses a part.
#[test]
fn inputs_are_named() {
    let folder = folder();
    for (preset, part, says) in [
        (
            "cdcgan",
            "generator",
            &[
                "takes latents [N, 64] and labels [N], whole numbers from 0 to 9; gives images [N, 1, 28, 28]",
                "the last of the 64 latents chooses one of 16 clusters of the class",
            ][..],
        ),
        (
            "cdcgan",
            "discriminator",
            &[
                "takes images [N, 1, 28, 28] and labels [N], whole numbers from 0 to 159: the class times 16 plus",
            ],
        ),
        ("dcgan", "generator", &["gives images [N, 1, 28, 28]\n"]),
    ] {
        let model = trained(preset).join("model.safetensors");
        let flags = format!("--format onnx --part {part} --out m.onnx");
        let outcome = run(folder.path(), &format!("export {} {flags}", model.display())).success();
        for text in says {
            assert!(outcome.stdout.contains(text), "{}", outcome.stdout);
        }
        // Metadata are texts of the file.
        let bytes = fs::read(folder.path().join("m.onnx")).unwrap();
        let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(holds("inputs") && holds("outputs"), "{preset}");
        assert_eq!(holds("16 clusters of the class"), (preset, part) == ("cdcgan", "generator"), "{preset}");
    }
}

#[test]
fn mistakes_name_what_is_wrong() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let model = trained("dcgan").display().to_string();
    let export = |flags: &str| run(folder.path(), &format!("export {model} {flags}"));
    let torch = "--format safetensors-torch";
    for (outcome, code, parts) in [
        (export("--out g.pt"), 2, &["--format"][..]),
        (export("--format pickle --out g.pt"), 2, &["'pickle'", "safetensors-torch, onnx, npz"]),
        (export("--format onnx --out no/g.onnx"), 1, &["no does not exist"]),
        (export(&format!("{torch} --out g.py")), 2, &["g.py", "Python class"]),
        (export("--format npz --count 3 --out g.npz"), 2, &["--test-vectors"]),
    ] {
        let message = outcome.error(code);
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
    }
    // A Python file that somebody wrote stays.
    fs::write(at("g.py"), "import mine\n").unwrap();
    let message = export(&format!("{torch} --out g.safetensors")).error(1);
    assert!(message.contains("g.py exists and was not written by"), "{message}");
    assert_eq!(names(folder.path()), ["g.py"]);
    fs::remove_file(at("g.py")).unwrap();
    // One that `export` wrote does not.
    export(&format!("{torch} --out g.safetensors")).success();
    export(&format!("{torch} --out g.safetensors")).success();

    let import = |line: &str| run(folder.path(), &format!("import {line} --out m.safetensors"));
    let changed = |change: &dyn Fn(&mut TensorFile)| {
        let mut file = TensorFile::read(at("g.safetensors")).unwrap();
        change(&mut file);
        fs::write(at("changed.safetensors"), file.to_bytes().unwrap()).unwrap();
        import("changed.safetensors --preset dcgan --part generator").error(1)
    };
    let missing = changed(&|file| drop(file.tensors.remove(0)));
    assert!(missing.contains("changed.safetensors: missing 'batch_norm_2.bias'"), "{missing}");
    let extra = changed(&|file| file.tensors[0].name = "head.bias".into());
    assert!(extra.contains("missing 'batch_norm_2.bias'; unexpected 'head.bias'"), "{extra}");
    let misshapen = changed(&|file| file.tensors[0].shape = vec![2, 64]);
    assert!(misshapen.contains("'batch_norm_2.bias' has the shape [2, 64], expected [128]"), "{misshapen}");
    for (line, code, part) in [
        ("g.safetensors", 2, "--preset"),
        ("g.safetensors --preset dcgan --model x.toml", 2, "--model"),
        ("g.safetensors --preset nothing", 2, "'nothing'"),
        ("g.safetensors --preset cdcgan", 1, "fit neither model"),
        ("g.safetensors g.safetensors --preset dcgan", 1, "so was the file before it"),
        ("g.safetensors g.safetensors --preset dcgan --part generator", 2, "--part"),
        ("g.py --preset dcgan", 1, "g.py: this is a file of another kind"),
        ("none.safetensors --preset dcgan", 1, "cannot read none.safetensors"),
        ("g.safetensors --model none.toml", 1, "cannot read none.toml"),
    ] {
        let message = import(line).error(code);
        assert!(message.contains(part), "{line}: {message}");
    }
    assert_eq!(names(folder.path()), ["changed.safetensors", "g.py", "g.safetensors"]);
}

/// Exported models in PyTorch and onnxruntime, events in TensorBoard. Needs a Python with torch, onnx, onnxruntime,
/// safetensors and tensorboard, named by GANNET_PEERS_PYTHON; .ci/run makes one.
#[test]
fn peers_compute_the_same() {
    let Some(python) = std::env::var_os("GANNET_PEERS_PYTHON") else {
        eprintln!(
            "skipped: GANNET_PEERS_PYTHON names no Python with torch, onnx, onnxruntime and tensorboard"
        );
        return;
    };
    let folder = folder();
    let at = |name: String| folder.path().join(name);
    let texts = presets::names().map(|name| presets::text(name).unwrap().to_owned()).chain(zoo());
    let mut exported = Vec::new();
    for text in texts {
        let config = parse(&text);
        let name = config.name.clone();
        random(config, &at(format!("{name}.model")));
        fs::write(at(format!("{name}.toml")), text).unwrap();
        for part in ["generator", "discriminator"] {
            let base = format!("{name}-{part}");
            for (format, extension) in
                [("safetensors-torch", "safetensors"), ("onnx", "onnx"), ("npz", "npz")]
            {
                let line =
                    format!("export {name}.model --part {part} --format {format} --out {base}.{extension}");
                let vectors = format!("--test-vectors {base}.vectors.safetensors --count 7");
                run(folder.path(), &format!("{line} {vectors}")).success();
            }
            exported.push((name.clone(), part, base));
        }
    }
    run(folder.path(), "train --preset dcgan --steps 5 --batch-size 4 --sample-every 2 --quiet --out run")
        .success();
    let output = Command::new(python)
        .arg(peers().join("check_export.py"))
        .arg(folder.path())
        .output()
        .expect("Python starts");
    let [stdout, stderr] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    assert!(output.status.success(), "{stdout}\n{stderr}");
    eprintln!("{stdout}");
    // What PyTorch writes is read back, and exported as the same bytes again.
    for (name, part, base) in exported {
        let line =
            format!("import {base}.again.safetensors --model {name}.toml --part {part} --out again.model");
        let outcome = run(folder.path(), &line).success();
        assert_eq!(outcome.stderr, "", "{base}");
        let line =
            format!("export again.model --part {part} --format safetensors-torch --out again.safetensors");
        run(folder.path(), &line).success();
        let [first, second] = [format!("{base}.safetensors"), "again.safetensors".into()]
            .map(|name| fs::read(at(name)).unwrap());
        assert!(first == second, "{base}");
    }
}
