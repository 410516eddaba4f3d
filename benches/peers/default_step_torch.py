"""The default run's step (gan-mnist's preset cdcgan) in PyTorch. One JSON line per mode.

The generator of the reference step, with 64 latents and the one-hot label (of 16 parts of each of 10 classes) times 2
into its Dense, and a discriminator of three convolutions, the last from 7 x 7 to 4 x 4, that ends in a projection (Miyato
and Koyama 2018, arXiv:1802.05637): the logit is Dense(h) + <embedding(label), h> over the flattened features h.
"""

import torch
import torch.nn.functional as F
from torch import nn

import measure
import step_torch

LATENTS = 64
CLASSES = 160
LABEL_SCALE = 2.0


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(LATENTS + CLASSES, 6272, bias=False),
            nn.Unflatten(1, (128, 7, 7)),
            nn.BatchNorm2d(128),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(128, 64, 4, 2, 1, bias=False),
            nn.BatchNorm2d(64),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(64, 1, 4, 2, 1),
            nn.Tanh(),
        )

    def forward(self, z, labels):
        return self.layers(torch.cat([z, LABEL_SCALE * F.one_hot(labels, CLASSES)], 1))


class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 48, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(48, 96, 4, 2, 1, bias=False),
            nn.BatchNorm2d(96),
            nn.LeakyReLU(0.2),
            # The padding `same`, which has one row more behind than in front.
            nn.ZeroPad2d((1, 2, 1, 2)),
            nn.Conv2d(96, 128, 4, 2, bias=False),
            nn.BatchNorm2d(128),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
        )
        self.dense = nn.Linear(2048, 1)
        self.embedding = nn.Embedding(CLASSES, 2048)

    def forward(self, x, labels):
        h = self.features(x)
        return self.dense(h) + (self.embedding(labels) * h).sum(1, keepdim=True)


def build(mode, batch_size):
    g, d = Generator(), Discriminator()
    step_torch.initialise(g)
    step_torch.initialise(d)
    real = torch.rand(batch_size, 1, 28, 28) * 2 - 1
    labels = torch.randint(CLASSES, (batch_size,))
    return step_torch.training_step(g, d, LATENTS, 3e-3, mode, lambda: (real, labels))


if __name__ == "__main__":
    arguments = measure.arguments(__doc__, step_torch.MODES, batch_size=32)
    step_torch.run(arguments, build, step="default")
