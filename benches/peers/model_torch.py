"""The training step of a model file of gan-mnist in PyTorch, for the usual layers. One JSON line per mode."""

import tomllib

import torch
from torch import nn

import measure
import step_torch

ACTIVATIONS = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh}


class Reshape(nn.Module):
    """Features [N, H W C] as images [N, C, H, W]: which feature is which pixel makes no difference to the time."""

    def __init__(self, height, width, channels):
        super().__init__()
        self.shape = (channels, height, width)

    def forward(self, x):
        return x.reshape(len(x), *self.shape)


class Residual(nn.Module):
    def __init__(self, layers, shortcut):
        super().__init__()
        self.layers, self.shortcut = layers, shortcut

    def forward(self, x):
        return self.shortcut(x) + self.layers(x)


def same(size, kernel, stride):
    """The padding `same` along an axis: before and after."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def convolution(options, shape):
    """The modules of a conv2d and the shape that they give."""
    channels, height, width = shape
    kernel, stride, filters = options["kernel"], options.get("stride", [1, 1]), options["filters"]
    bias = options.get("use_bias", True)
    if options.get("padding", "valid") == "valid":
        output = [(size - k) // s + 1 for size, k, s in zip((height, width), kernel, stride)]
        return [nn.Conv2d(channels, filters, kernel, stride, bias=bias)], [filters, *output]
    (top, bottom), (left, right) = (same(size, k, s) for size, k, s in zip((height, width), kernel, stride))
    output = [-(-height // stride[0]), -(-width // stride[1])]
    if (top, left) == (bottom, right):
        return [nn.Conv2d(channels, filters, kernel, stride, (top, left), bias=bias)], [filters, *output]
    pad = nn.ZeroPad2d((left, right, top, bottom))
    return [pad, nn.Conv2d(channels, filters, kernel, stride, bias=bias)], [filters, *output]


def transposed_convolution(options, shape):
    """The modules of a conv_transpose2d with padding `same` and the shape that they give."""
    channels, height, width = shape
    kernel, stride, filters = options["kernel"], options["stride"], options["filters"]
    if options.get("padding") != "same":
        raise SystemExit("model_torch.py knows conv_transpose2d with the padding same alone")
    total = [k - s for k, s in zip(kernel, stride)]
    padding, more = [-(-t // 2) for t in total], [t % 2 for t in total]
    bias = options.get("use_bias", True)
    module = nn.ConvTranspose2d(channels, filters, kernel, stride, padding, more, bias=bias)
    return [module], [filters, height * stride[0], width * stride[1]]


def build(layers, shape):
    """The modules of some layers on an input [C, H, W] or [n], and the shape that they give."""
    modules = []
    for layer in layers:
        name, options = (layer, {}) if isinstance(layer, str) else next(iter(layer.items()))
        if name == "dense":
            modules.append(nn.Linear(shape[0], options["units"], bias=options.get("use_bias", True)))
            shape = [options["units"]]
        elif name == "reshape":
            height, width, channels = options["shape"]
            modules.append(Reshape(height, width, channels))
            shape = [channels, height, width]
        elif name == "flatten":
            modules.append(nn.Flatten())
            shape = [shape[0] * shape[1] * shape[2]]
        elif name == "batch_norm":
            modules.append(nn.BatchNorm2d(shape[0]) if len(shape) == 3 else nn.BatchNorm1d(shape[0]))
        elif name == "leaky_relu":
            modules.append(nn.LeakyReLU(options["negative_slope"]))
        elif name in ACTIVATIONS:
            modules.append(ACTIVATIONS[name]())
        elif name == "upsample_nearest":
            factor = options.get("factor", [2, 2])
            modules.append(nn.Upsample(scale_factor=tuple(factor)))
            shape = [shape[0], shape[1] * factor[0], shape[2] * factor[1]]
        elif name in ("avg_pool2d", "max_pool2d"):
            size = options.get("size", [2, 2])
            modules.append((nn.AvgPool2d if name == "avg_pool2d" else nn.MaxPool2d)(size))
            shape = [shape[0], shape[1] // size[0], shape[2] // size[1]]
        elif name == "conv2d":
            more, shape = convolution(options, shape)
            modules += more
        elif name == "conv_transpose2d":
            more, shape = transposed_convolution(options, shape)
            modules += more
        elif name == "residual":
            inner, inner_shape = build(options["layers"], shape)
            shortcut, shortcut_shape = build(options.get("shortcut", []), shape)
            assert inner_shape == shortcut_shape, (inner_shape, shortcut_shape)
            modules.append(Residual(inner, shortcut))
            shape = inner_shape
        else:
            raise SystemExit(f"model_torch.py does not know the layer {name}")
        activation = options.get("activation", "linear")
        if activation != "linear":
            modules.append(ACTIVATIONS[activation]())
    return nn.Sequential(*modules), shape


def networks(model):
    """The generator and the discriminator of a model file that was read, the number of latents and the images' [C, H, W]."""
    latents = model["generator"]["input"][0]
    height, width, channels = model["discriminator"]["input"]
    generator, output = build(model["generator"]["layers"], [latents])
    discriminator, _ = build(model["discriminator"]["layers"], [channels, height, width])
    assert output == [channels, height, width], output
    return generator, discriminator, latents, (channels, height, width)


def main():
    arguments = measure.arguments(__doc__, step_torch.MODES + step_torch.BF16_MODES, model=True)
    with open(arguments.model, "rb") as file:
        model = tomllib.load(file)
    arguments.batch_size = arguments.batch_size or model["batch_size"]

    def training_step(mode, batch_size):
        generator, discriminator, latents, shape = networks(model)
        step_torch.initialise(generator)
        step_torch.initialise(discriminator)
        real = torch.rand(batch_size, *shape) * 2 - 1
        return step_torch.training_step(generator, discriminator, latents, 2e-4, mode, lambda: (real,))

    step_torch.run(arguments, training_step, step=model["name"])


if __name__ == "__main__":
    main()
