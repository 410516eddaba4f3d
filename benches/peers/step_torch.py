"""One GAN training step in PyTorch, for any generator and discriminator, in the modes that users choose from."""

import contextlib
import os

import torch
import torch.nn.functional as F

from measure import report, time_steps

MODES = ["eager", "eager-channels-last", "compile", "compile-channels-last"]
# Operands of products in bfloat16: other numbers than ours, shown for comparison.
BF16_MODES = ["bf16", "bf16-channels-last"]


def prepare(threads):
    """Sets the number of threads and passes an instruction set forced by run.sh on to torch.compile."""
    torch.set_num_threads(threads)
    if os.environ.get("ATEN_CPU_CAPABILITY") == "avx2":
        from torch._inductor import config

        config.cpp.simdlen = 256


def initialise(module):
    """DCGAN's initial weights: normal, deviation 0.02; biases zero."""
    for name, parameter in module.named_parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.02)
        elif name.endswith("bias"):
            torch.nn.init.zeros_(parameter)


@contextlib.contextmanager
def frozen(module):
    """Spares the generator's step the discriminator's weight gradients, which nobody would read."""
    module.requires_grad_(False)
    try:
        yield
    finally:
        module.requires_grad_(True)


def training_step(generator, discriminator, latents, learning_rate, mode, batch):
    """Returns a function of no arguments that runs one step and returns its two losses.

    `batch()` gives the real images [B, 1, 28, 28], and the further arguments that both networks take
    (labels [B], or nothing). One update of the discriminator on a real and a fake batch, each normalised
    with its own statistics, and one of the generator with the same fake batch.
    """
    memory_format = torch.channels_last if mode.endswith("channels-last") else torch.contiguous_format
    generator.to(memory_format=memory_format)
    discriminator.to(memory_format=memory_format)
    # The fused update is the fastest of the three that PyTorch has for the CPU.
    adam = lambda module: torch.optim.Adam(module.parameters(), learning_rate, (0.5, 0.999), fused=True)
    generator_adam, discriminator_adam = adam(generator), adam(discriminator)

    def precision():
        return torch.autocast("cpu", torch.bfloat16, enabled=mode.startswith("bf16"))

    def discriminator_loss(real, fake, *given):
        with precision():
            real_logits, fake_logits = discriminator(real, *given), discriminator(fake, *given)
        real_logits, fake_logits = real_logits.float(), fake_logits.float()
        # softplus(-x) and softplus(x) are binary cross-entropy of a logit against one and zero.
        return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()

    def generator_loss(fake, *given):
        with precision():
            logits = discriminator(fake, *given)
        return F.softplus(-logits.float()).mean()

    generate = generator
    if mode.startswith("compile"):
        generate, discriminator_loss, generator_loss = map(torch.compile, (generate, discriminator_loss, generator_loss))

    def step():
        real, *given = batch()
        real = real.contiguous(memory_format=memory_format)
        with precision():
            fake = generate(torch.randn(len(real), latents), *given)

        discriminator_adam.zero_grad()
        d_loss = discriminator_loss(real, fake.detach(), *given)
        d_loss.backward()
        discriminator_adam.step()

        generator_adam.zero_grad()
        with frozen(discriminator):
            g_loss = generator_loss(fake, *given)
            g_loss.backward()
        generator_adam.step()
        return d_loss.item(), g_loss.item()

    return step


def run(arguments, build, **more):
    """Times every mode asked for; `build(mode, batch_size)` gives its training step. Prints one JSON line each."""
    prepare(arguments.threads)
    for mode in arguments.modes:
        torch.manual_seed(42)
        step = build(mode, arguments.batch_size)
        durations = time_steps(step, arguments.steps, arguments.warmup)
        losses = step()
        if not all(loss == loss and abs(loss) < 1e3 for loss in losses):
            raise SystemExit(f"torch, {mode}: the losses are {losses}: this step does not train")
        report("torch", mode, durations, arguments.threads, torch.__version__, batch_size=arguments.batch_size, **more)
