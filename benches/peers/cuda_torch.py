"""What the PyTorch scripts for CUDA GPUs share: the check for a GPU, arithmetic in fp32, and the clock."""

import torch

import measure


def prepare(threads):
    """Everything is made on the GPU from here on, and computed in fp32 without tensor cores, as Gannet does, unless a mode
    says otherwise.

    Exits with a message where PyTorch finds no GPU.
    """
    if not torch.cuda.is_available():
        built = "it was built without CUDA" if torch.version.cuda is None else f"it was built for CUDA {torch.version.cuda}"
        raise SystemExit(
            f"PyTorch {torch.__version__} finds no CUDA GPU on this machine ({built}); "
            "this script measures one: see https://pytorch.org/get-started/locally/"
        )
    torch.set_num_threads(threads)
    torch.set_default_device("cuda")
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True


def time_steps(step, steps, warmup):
    """Runs `step` warmup + steps times; returns the last `steps` durations in milliseconds.

    The host waits for the GPU only at the end. A duration is the time between two marks in the GPU's queue, which
    includes what the GPU waits for the host.
    """
    for _ in range(warmup):
        step()
    torch.cuda.synchronize()
    marks = [torch.cuda.Event(enable_timing=True) for _ in range(steps + 1)]
    marks[0].record()
    for mark in marks[1:]:
        step()
        mark.record()
    torch.cuda.synchronize()
    return [earlier.elapsed_time(later) for earlier, later in zip(marks, marks[1:])]


def captured(step, warmup=3):
    """The kernels of `step` as one CUDA graph: a function that starts them all at once, and what `step` returned.

    What it returns is overwritten by every replay.
    """
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(warmup):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        results = step()
    return graph.replay, results


def report(mode, durations, threads, **more):
    """Prints one JSON line, with the GPU and its peak memory in it."""
    measure.report(
        "torch-cuda",
        mode,
        durations,
        threads,
        torch.__version__,
        device=torch.cuda.get_device_name(),
        cuda=torch.version.cuda,
        peak_gpu_mb=round(torch.cuda.max_memory_allocated() / 2**20, 1),
        **more,
    )
