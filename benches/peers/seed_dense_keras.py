"""The article's loop over its dense model (gan-mnist's preset seed-dense), corrected, in Keras. One JSON line.

A step is one pass of the loop, as introductory articles write it: `predict` makes a batch of digits, then three
`train_on_batch` update the discriminator on real digits, the discriminator on the generated ones, and the generator
through the frozen discriminator. G: Dense 100->6272 ReLU, Reshape (7,7,128), BN, LeakyReLU 0.2, Flatten, Dense 784
tanh, Reshape (28,28,1). D: Flatten, Dense 6272 ReLU, Reshape (7,7,128), LeakyReLU 0.2, BN, Flatten, Dense 1 sigmoid.
Binary cross-entropy on probabilities, Adam with Keras' defaults.
"""

import os

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
import tensorflow as tf
from keras import layers

import measure

LATENTS = 100


def generator():
    return keras.Sequential([
        keras.Input((LATENTS,)),
        layers.Dense(6272, activation="relu"),
        layers.Reshape((7, 7, 128)),
        layers.BatchNormalization(),
        layers.LeakyReLU(0.2),
        layers.Flatten(),
        layers.Dense(784, activation="tanh"),
        layers.Reshape((28, 28, 1)),
    ])


def discriminator():
    return keras.Sequential([
        keras.Input((28, 28, 1)),
        layers.Flatten(),
        layers.Dense(6272, activation="relu"),
        layers.Reshape((7, 7, 128)),
        layers.LeakyReLU(0.2),
        layers.BatchNormalization(),
        layers.Flatten(),
        layers.Dense(1, activation="sigmoid"),
    ])


def training_step(batch_size):
    """Returns a function that runs one pass of the loop and returns its losses (D_real, D_fake, G)."""
    random = np.random.default_rng(42)
    g, d = generator(), discriminator()
    d.compile(loss="binary_crossentropy", optimizer=keras.optimizers.Adam())
    ones, zeros = np.ones((batch_size, 1)), np.zeros((batch_size, 1))
    real = random.uniform(-1.0, 1.0, (batch_size, 28, 28, 1)).astype(np.float32)

    # Keras 3 reads `trainable` when a training function is traced, not when a model is compiled: D's function has to
    # be traced before D is frozen for the combined model, or D would never learn.
    d.train_on_batch(real, ones)
    d.trainable = False
    combined = keras.Sequential([g, d])
    combined.compile(loss="binary_crossentropy", optimizer=keras.optimizers.Adam())

    def step():
        noise = random.standard_normal((batch_size, LATENTS)).astype(np.float32)
        fake = g.predict(noise, verbose=0)
        d_real = d.train_on_batch(real, ones)
        d_fake = d.train_on_batch(fake, zeros)
        g_loss = combined.train_on_batch(noise, ones)
        return float(d_real), float(d_fake), float(g_loss)

    return step, g, d


def check(step, g, d):
    """One step has to move the weights of both networks, and the losses have to be numbers."""
    first_weights = lambda: [keras.ops.convert_to_numpy(model.weights[0]) for model in (g, d)]
    before, losses, after = first_weights(), step(), first_weights()
    if any(np.array_equal(x, y) for x, y in zip(before, after)) or not np.all(np.isfinite(losses)):
        raise SystemExit(f"keras: a step left a network as it was, or its losses {losses} are no numbers")


if __name__ == "__main__":
    arguments = measure.arguments(__doc__, ["loop"], batch_size=32)
    tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    tf.config.threading.set_inter_op_parallelism_threads(arguments.threads)
    keras.utils.set_random_seed(42)
    step, g, d = training_step(arguments.batch_size)
    check(step, g, d)
    durations = measure.time_steps(step, arguments.steps, arguments.warmup)
    measure.report(
        "keras",
        "loop",
        durations,
        arguments.threads,
        f"{keras.__version__} on tensorflow {tf.__version__}",
        batch_size=arguments.batch_size,
        step="seed-dense",
    )
