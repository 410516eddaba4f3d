"""A square matrix product in PyTorch on a CUDA GPU (cuBLAS), in fp32 without tensor cores. One JSON line per mode."""

import statistics

import torch

import cuda_torch
import measure

SIZE = 4096
MODES = ["eager", "graph"]


def main():
    arguments = measure.arguments(__doc__, MODES)
    cuda_torch.prepare(arguments.threads)
    torch.manual_seed(42)
    a, b, c = torch.randn(SIZE, SIZE), torch.randn(SIZE, SIZE), torch.empty(SIZE, SIZE)
    step = lambda: torch.matmul(a, b, out=c)
    for mode in arguments.modes:
        run = cuda_torch.captured(step)[0] if mode == "graph" else step
        durations = cuda_torch.time_steps(run, arguments.steps, arguments.warmup)
        gflops = round(2e-6 * SIZE**3 / statistics.median(durations), 1)
        cuda_torch.report(mode, durations, arguments.threads, step="matmul", size=SIZE, gflops=gflops)


if __name__ == "__main__":
    main()
