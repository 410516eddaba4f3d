"""The reference step (gan-mnist's preset dcgan) in PyTorch. One JSON line per mode.

G: Dense 100->6272 without bias, BN, LeakyReLU 0.2, ConvT 4x4/2 128->64 without bias, BN, LeakyReLU, ConvT 4x4/2
64->1, tanh. D: Conv 4x4/2 1->64, LeakyReLU, Conv 4x4/2 64->128 without bias, BN, LeakyReLU, Dense 6272->1.
"""

import torch
from torch import nn

import measure
import step_torch

LATENTS = 100


def generator():
    return nn.Sequential(
        nn.Linear(LATENTS, 6272, bias=False),
        nn.BatchNorm1d(6272),
        nn.LeakyReLU(0.2),
        nn.Unflatten(1, (128, 7, 7)),
        nn.ConvTranspose2d(128, 64, 4, 2, 1, bias=False),
        nn.BatchNorm2d(64),
        nn.LeakyReLU(0.2),
        nn.ConvTranspose2d(64, 1, 4, 2, 1),
        nn.Tanh(),
    )


def discriminator():
    return nn.Sequential(
        nn.Conv2d(1, 64, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(64, 128, 4, 2, 1, bias=False),
        nn.BatchNorm2d(128),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        nn.Linear(6272, 1),
    )


def build(mode, batch_size):
    g, d = generator(), discriminator()
    step_torch.initialise(g)
    step_torch.initialise(d)
    real = torch.rand(batch_size, 1, 28, 28) * 2 - 1
    return step_torch.training_step(g, d, LATENTS, 2e-4, mode, lambda: (real,))


if __name__ == "__main__":
    arguments = measure.arguments(__doc__, step_torch.MODES, batch_size=128)
    step_torch.run(arguments, build, step="reference")
