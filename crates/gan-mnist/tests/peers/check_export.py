"""Runs exported models in PyTorch and onnxruntime and compares them with Gannet's own output, reads the arrays with NumPy
and the event file with TensorBoard. The test `peers` writes the folder that is given and calls this.

For each model NAME there are NAME.safetensors with NAME.py, NAME.onnx, NAME.npz and NAME.vectors.safetensors; what PyTorch
has loaded goes to NAME.again.safetensors, for Gannet to import.
"""
import importlib.util
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
import torch
from safetensors.numpy import load_file
from safetensors.torch import save_file

TOLERANCE = 1e-4


def compare(what, ours, theirs):
    assert ours.shape == theirs.shape, f"{what}: shape {theirs.shape}, expected {ours.shape}"
    assert ours.std() > 1e-3, f"{what}: all numbers are alike, which proves nothing"
    # Images and scores are of the order of 1; what is larger is compared by ratio.
    error = np.max(np.abs(ours - theirs) / np.maximum(np.abs(ours), 1))
    assert error < TOLERANCE, f"{what}: differs by {error}"
    return error


def check_model(vectors_path):
    name = vectors_path.name.removesuffix(".vectors.safetensors")
    base = vectors_path.with_name(name)
    vectors = load_file(vectors_path)
    source, result = ("images", "scores") if "scores" in vectors else ("latents", "images")
    inputs = {source: vectors[source]}
    if "labels" in vectors:
        inputs["labels"] = vectors["labels"].astype(np.int64)
    ours = vectors[result]

    spec = importlib.util.spec_from_file_location("exported", f"{base}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    model = module.load(f"{base}.safetensors")
    with torch.no_grad():
        theirs = model(**{key: torch.from_numpy(value) for key, value in inputs.items()}).numpy()
    by_torch = compare(f"{name} in PyTorch", ours, theirs)
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, f"{base}.again.safetensors")

    onnx.checker.check_model(onnx.load(f"{base}.onnx"), full_check=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(f"{base}.onnx", options, providers=["CPUExecutionProvider"])
    by_onnx = compare(f"{name} in onnxruntime", ours, session.run([result], inputs)[0])
    if "std =" not in pathlib.Path(f"{base}.py").read_text():
        # A batch of another size: N is free. (The minibatch deviation is of the whole batch.)
        fewer = session.run([result], {key: value[:3] for key, value in inputs.items()})[0]
        compare(f"{name} in onnxruntime, a smaller batch", ours[:3], fewer)

    arrays = np.load(f"{base}.npz")
    assert arrays.files, f"{name}.npz is empty"
    for key in arrays.files:
        assert arrays[key].dtype == np.float32 and np.isfinite(arrays[key]).all(), key
    # Of layers at the top, names differ in a way that can be told.
    weights = load_file(f"{base}.safetensors")
    for key, value in weights.items():
        layer, _, tensor = key.rpartition(".")
        kind, _, index = layer.rpartition("_")
        ours_key = f"{index}.{kind}/kernel"
        if tensor == "weight" and ours_key in arrays.files:
            axes = (3, 2, 0, 1) if value.ndim == 4 else (1, 0)
            assert np.array_equal(value, arrays[ours_key].transpose(axes)), key
    return by_torch, by_onnx


def check_events(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run), size_guidance={"scalars": 0, "images": 0})
    events.Reload()
    rows = [line.split(",") for line in (run / "losses.csv").read_text().splitlines()]
    for column, name in enumerate(rows[0][1:], start=1):
        scalars = events.Scalars(f"loss/{name}")
        assert [e.step for e in scalars] == [int(row[0]) for row in rows[1:]], name
        assert [np.float32(e.value) for e in scalars] == [np.float32(row[column]) for row in rows[1:]], name
        assert all(e.wall_time > 1.6e9 for e in scalars)
    images = events.Images("samples")
    grids = sorted((run / "samples").iterdir())
    assert [f"step-{image.step:06}.png" for image in images] == [grid.name for grid in grids]
    assert [image.encoded_image_string for image in images] == [grid.read_bytes() for grid in grids]
    return len(rows) - 1, len(images)


def main(folder):
    torch.set_num_threads(1)
    models = sorted(folder.glob("*.vectors.safetensors"))
    assert models, f"no models in {folder}"
    for path in models:
        by_torch, by_onnx = check_model(path)
        print(f"{path.name.removesuffix('.vectors.safetensors')}: PyTorch {by_torch:.1e}, onnxruntime {by_onnx:.1e}")
    steps, images = check_events(folder / "run")
    print(f"TensorBoard: {steps} steps, {images} grids")


main(pathlib.Path(sys.argv[1]))
