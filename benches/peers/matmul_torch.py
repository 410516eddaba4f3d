"""A square matrix product in PyTorch (MKL or oneDNN). One JSON line; a step is one product."""

import statistics

import torch

import measure

SIZE = 1024

if __name__ == "__main__":
    arguments = measure.arguments(__doc__, ["matmul"])
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(42)
    a, b, c = torch.randn(SIZE, SIZE), torch.randn(SIZE, SIZE), torch.empty(SIZE, SIZE)
    durations = measure.time_steps(lambda: torch.matmul(a, b, out=c), arguments.steps, arguments.warmup)
    measure.report(
        "torch",
        "matmul",
        durations,
        arguments.threads,
        torch.__version__,
        step="matmul",
        size=SIZE,
        gflops=round(2e-6 * SIZE**3 / statistics.median(durations), 1),
    )
