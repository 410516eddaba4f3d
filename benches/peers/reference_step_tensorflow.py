"""The reference step (gan-mnist's preset dcgan) in TensorFlow, NHWC. One JSON line per mode.

The networks and the step are those of reference_step_torch.py. Modes: `function` (tf.function) and `xla`
(tf.function with jit_compile=True), the whole step in one function in both.
"""

import os

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import tensorflow as tf
from keras import layers

import measure

MODES = ["function", "xla"]
LATENTS = 100


def initial():
    return keras.initializers.RandomNormal(stddev=0.02)


def conv(kind, channels, bias):
    return kind(channels, 4, strides=2, padding="same", use_bias=bias, kernel_initializer=initial())


def generator():
    return keras.Sequential([
        keras.Input((LATENTS,)),
        layers.Dense(6272, use_bias=False, kernel_initializer=initial()),
        layers.BatchNormalization(),
        layers.LeakyReLU(0.2),
        layers.Reshape((7, 7, 128)),
        conv(layers.Conv2DTranspose, 64, bias=False),
        layers.BatchNormalization(),
        layers.LeakyReLU(0.2),
        conv(layers.Conv2DTranspose, 1, bias=True),
        layers.Activation("tanh"),
    ])


def discriminator():
    return keras.Sequential([
        keras.Input((28, 28, 1)),
        conv(layers.Conv2D, 64, bias=True),
        layers.LeakyReLU(0.2),
        conv(layers.Conv2D, 128, bias=False),
        layers.BatchNormalization(),
        layers.LeakyReLU(0.2),
        layers.Flatten(),
        layers.Dense(1, kernel_initializer=initial()),
    ])


def training_step(mode, batch_size):
    g, d = generator(), discriminator()
    g_adam, d_adam = (keras.optimizers.Adam(2e-4, 0.5, 0.999) for _ in range(2))
    # Variables made inside a tf.function would be made again when it is retraced.
    g_adam.build(g.trainable_variables)
    d_adam.build(d.trainable_variables)
    real = tf.random.uniform((batch_size, 28, 28, 1), -1.0, 1.0)

    @tf.function(jit_compile=mode == "xla")
    def step(real):
        # softplus(-x) and softplus(x) are binary cross-entropy of a logit against one and zero.
        with tf.GradientTape(watch_accessed_variables=False) as g_tape:
            g_tape.watch([variable.value for variable in g.trainable_variables])
            fake = g(tf.random.normal((batch_size, LATENTS)), training=True)
            with g_tape.stop_recording(), tf.GradientTape() as d_tape:
                d_loss = tf.reduce_mean(tf.nn.softplus(-d(real, training=True)))
                d_loss += tf.reduce_mean(tf.nn.softplus(d(fake, training=True)))
            with g_tape.stop_recording():
                d_adam.apply(d_tape.gradient(d_loss, d.trainable_variables), d.trainable_variables)
            g_loss = tf.reduce_mean(tf.nn.softplus(-d(fake, training=True)))
        g_adam.apply(g_tape.gradient(g_loss, g.trainable_variables), g.trainable_variables)
        return d_loss, g_loss

    return lambda: tuple(loss.numpy().item() for loss in step(real))


if __name__ == "__main__":
    arguments = measure.arguments(__doc__, MODES, batch_size=128)
    tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    tf.config.threading.set_inter_op_parallelism_threads(arguments.threads)
    for mode in arguments.modes:
        keras.utils.set_random_seed(42)
        step = training_step(mode, arguments.batch_size)
        durations = measure.time_steps(step, arguments.steps, arguments.warmup)
        losses = step()
        if not all(loss == loss and abs(loss) < 1e3 for loss in losses):
            raise SystemExit(f"tensorflow, {mode}: the losses are {losses}: this step does not train")
        measure.report(
            "tensorflow",
            mode,
            durations,
            arguments.threads,
            tf.__version__,
            batch_size=arguments.batch_size,
            step="reference",
        )
