"""The reference step (gan-mnist's preset dcgan) in PyTorch on a CUDA GPU, in fp32 without tensor cores.

One JSON line per mode: eager, and the whole step captured as one CUDA graph, each in both memory formats.
"""

import torch
import torch.nn.functional as F

import cuda_torch
import measure
import reference_step_torch
import step_torch

MODES = ["eager", "eager-channels-last", "graph", "graph-channels-last"]


def training_step(mode, batch_size):
    """Returns a function that runs one step and returns its two losses, which stay on the GPU."""
    memory_format = torch.channels_last if mode.endswith("channels-last") else torch.contiguous_format
    generator, discriminator = reference_step_torch.generator(), reference_step_torch.discriminator()
    for module in (generator, discriminator):
        step_torch.initialise(module)
        module.to(memory_format=memory_format)
    # Inside a graph the count of steps has to be a tensor too.
    adam = lambda module: torch.optim.Adam(module.parameters(), 2e-4, (0.5, 0.999), fused=True, capturable=True)
    generator_adam, discriminator_adam = adam(generator), adam(discriminator)
    real = (torch.rand(batch_size, 1, 28, 28) * 2 - 1).contiguous(memory_format=memory_format)

    def step():
        fake = generator(torch.randn(batch_size, reference_step_torch.LATENTS))
        discriminator_adam.zero_grad()
        d_loss = F.softplus(-discriminator(real)).mean() + F.softplus(discriminator(fake.detach())).mean()
        d_loss.backward()
        discriminator_adam.step()

        generator_adam.zero_grad()
        with step_torch.frozen(discriminator):
            g_loss = F.softplus(-discriminator(fake)).mean()
            g_loss.backward()
        generator_adam.step()
        return d_loss.detach(), g_loss.detach()

    return step


def main():
    arguments = measure.arguments(__doc__, MODES, batch_size=128)
    cuda_torch.prepare(arguments.threads)
    for mode in arguments.modes:
        torch.manual_seed(42)
        torch.cuda.reset_peak_memory_stats()
        step = training_step(mode, arguments.batch_size)
        if mode.startswith("graph"):
            replay, losses = cuda_torch.captured(step)
            durations = cuda_torch.time_steps(replay, arguments.steps, arguments.warmup)
        else:
            durations = cuda_torch.time_steps(step, arguments.steps, arguments.warmup)
            losses = step()
        losses = [loss.item() for loss in losses]
        if not all(loss == loss and abs(loss) < 1e3 for loss in losses):
            raise SystemExit(f"torch-cuda, {mode}: the losses are {losses}: this step does not train")
        cuda_torch.report(mode, durations, arguments.threads, batch_size=arguments.batch_size, step="reference")


if __name__ == "__main__":
    main()
