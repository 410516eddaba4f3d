"""The training step of a model file of gan-mnist in PyTorch on a CUDA GPU, for the usual layers. One JSON line per mode.

A mode is how it runs (eager; graph, the whole step captured as one CUDA graph; compile, the same of what torch.compile makes of it),
after it the precision of products if that is not fp32 (tf32; bf16, by autocast), and the memory format if it is not NCHW.
A mode that fails is told on stderr, and the others are measured all the same; then the exit status is 1.
"""

import itertools
import sys
import tomllib

import torch
import torch.nn.functional as F

import cuda_torch
import measure
import model_torch
import step_torch

MODES = [
    run + precision + memory_format
    for run, precision, memory_format in itertools.product(
        ["eager", "graph", "compile"], ["", "-tf32", "-bf16"], ["", "-channels-last"]
    )
]


def training_step(generator, discriminator, latents, real, mode):
    """Returns a function that runs one step on these real images and returns its two losses, which stay on the device."""
    memory_format = torch.channels_last if mode.endswith("channels-last") else torch.contiguous_format
    for module in (generator, discriminator):
        step_torch.initialise(module)
        module.to(memory_format=memory_format)
    # Inside a graph the count of steps has to be a tensor too.
    on_gpu = real.is_cuda
    adam = lambda module: torch.optim.Adam(module.parameters(), 2e-4, (0.5, 0.999), fused=on_gpu, capturable=on_gpu)
    generator_adam, discriminator_adam = adam(generator), adam(discriminator)
    real = real.contiguous(memory_format=memory_format)

    def precision():
        return torch.autocast(real.device.type, torch.bfloat16, enabled="bf16" in mode)

    def discriminator_loss(fake):
        with precision():
            real_logits, fake_logits = discriminator(real), discriminator(fake)
        # softplus(-x) and softplus(x) are binary cross-entropy of a logit against one and zero.
        return F.softplus(-real_logits.float()).mean() + F.softplus(fake_logits.float()).mean()

    def generator_loss(fake):
        with precision():
            logits = discriminator(fake)
        return F.softplus(-logits.float()).mean()

    generate = generator
    if mode.startswith("compile"):
        generate, discriminator_loss, generator_loss = map(torch.compile, (generator, discriminator_loss, generator_loss))

    def step():
        with precision():
            fake = generate(torch.randn(len(real), latents, device=real.device))
        fake = fake.float()
        discriminator_adam.zero_grad()
        d_loss = discriminator_loss(fake.detach())
        d_loss.backward()
        discriminator_adam.step()

        generator_adam.zero_grad()
        with step_torch.frozen(discriminator):
            g_loss = generator_loss(fake)
            g_loss.backward()
        generator_adam.step()
        return d_loss.detach(), g_loss.detach()

    return step


def time_mode(mode, model, batch_size, arguments):
    """Durations of steps in milliseconds, and the losses of the last of them."""
    tf32 = "tf32" in mode
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32
    torch.manual_seed(42)
    torch.cuda.reset_peak_memory_stats()
    generator, discriminator, latents, shape = model_torch.networks(model)
    real = torch.rand(batch_size, *shape) * 2 - 1
    step = training_step(generator, discriminator, latents, real, mode)
    if mode.startswith("eager"):
        durations = cuda_torch.time_steps(step, arguments.steps, arguments.warmup)
        losses = step()
    else:
        # Compiled pieces too are one graph in the end: the host starts a step by one call.
        replay, losses = cuda_torch.captured(step, arguments.warmup)
        durations = cuda_torch.time_steps(replay, arguments.steps, arguments.warmup)
    return durations, [loss.item() for loss in losses]


def main():
    arguments = measure.arguments(__doc__, MODES, model=True)
    with open(arguments.model, "rb") as file:
        model = tomllib.load(file)
    batch_size = arguments.batch_size or model["batch_size"]
    cuda_torch.prepare(arguments.threads)
    failed = False
    for mode in arguments.modes:
        try:
            durations, losses = time_mode(mode, model, batch_size, arguments)
        except RuntimeError as error:
            print(f"torch-cuda, {mode}: {error}", file=sys.stderr)
            failed = True
            continue
        if not all(loss == loss and abs(loss) < 1e3 for loss in losses):
            raise SystemExit(f"torch-cuda, {mode}: the losses are {losses}: this step does not train")
        cuda_torch.report(mode, durations, arguments.threads, batch_size=batch_size, step=model["name"])
    return failed


if __name__ == "__main__":
    sys.exit(main())
