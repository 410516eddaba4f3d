// What a training step is given, by the page's description of it (gannet's export::Steps): the random numbers of the step,
// and the numbers of its updates, as gan-mnist computes them.
"use strict";

const { stepName, stepInputs, scheduleFactor } = (() => {
  // The name of the program of a step, counted from 0.
  const stepName = (steps, step) => steps.periods.map((period) => step % period === 0 ? "1" : "0").join("");

  // What learning rates are multiplied with in step `step` of a run of `length` steps.
  function scheduleFactor(schedule, step, length) {
    const progress = Math.min(1, step / Math.max(1, length ?? 0));
    if (schedule === "constant") return 1;
    if (schedule === "cosine") return 0.5 * (1 + Math.cos(Math.PI * progress));
    return Math.min(1, (1 - progress) / (1 - schedule.linear.from));
  }

  // The numbers of update `t`, from 1, at the given rate.
  function scalars(rule, t, rate) {
    const [[name, options]] = Object.entries(rule);
    if (name === "sgd" || name === "rmsprop") return [rate];
    const { beta1, beta2, eps, form, weight_decay } = options;
    // Keras holds the betas in single precision.
    const [b1, b2] = form === "keras" ? [Math.fround(beta1), Math.fround(beta2)] : [beta1, beta2];
    const correction1 = 1 - b1 ** t, correction2 = Math.sqrt(1 - b2 ** t);
    const numbers = [rate * correction2 / correction1, form === "keras" ? eps : eps * correction2];
    return name === "adamw" ? [...numbers, 1 - rate * weight_decay] : numbers;
  }

  // What is added to each image, the factors of its colours and of its numbers, and the source of each of its pixels.
  function augmentation({ images, brightness, saturation, contrast, translation, cutout }, stream, [height, width]) {
    const [added, colours, numbers] = [0, 1, 2].map(() => new Float32Array(images));
    const factor = (most) => most > 0 ? stream.uniform(1 - most, 1 + most) : 1;
    const sources = new Float32Array(images * height * width);
    let at = 0;
    for (let i = 0; i < images; i++) {
      added[i] = stream.uniform(-0.5, 0.5) * brightness;
      const axis = (length) => {
        const most = Math.round(length * translation);
        const shift = Math.min(Math.floor(stream.uniform(-most, most + 1)), most);
        const cut = Math.round(length * cutout);
        const start = Math.floor(stream.uniform(0, length)) - Math.floor(cut / 2);
        return { shift, start, end: start + cut };
      };
      const rows = axis(height), columns = axis(width);
      colours[i] = factor(saturation);
      numbers[i] = factor(contrast);
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++) {
          const fromY = y - rows.shift, fromX = x - columns.shift;
          const inside = fromY >= 0 && fromY < height && fromX >= 0 && fromX < width;
          const cut = y >= rows.start && y < rows.end && x >= columns.start && x < columns.end;
          sources[at++] = inside && !cut ? i * height * width + fromY * width + fromX : images * height * width;
        }
      }
    }
    return { brightness: added, saturation: colours, contrast: numbers, sources };
  }

  // A function from the name of an input to its numbers in step `step`, on `batch`, which holds the images and labels that
  // are read. `rates` are the learning rates of both players, `length` is that of the run.
  function stepInputs({ steps, model, step, batch, rates, length }) {
    const seed = BigInt(steps.seed), stream = (name) => new Stream(seed, name, BigInt(step));
    const augmentations = new Map();
    const augmented = (input) => {
      if (!augmentations.has(input.stream)) {
        augmentations.set(input.stream, augmentation(input, stream(input.stream), model.shape));
      }
      return augmentations.get(input.stream)[input.kind];
    };
    const kinds = {
      real: () => batch.images,
      labels: () => Float32Array.from(batch.labels),
      latents: (input) => {
        const x = normals(steps.batch_size * model.z, seed, input.stream, BigInt(step));
        if (model.clusters > 1) {
          const last = stream(input.clusters);
          batch.labels.forEach((label, i) => {
            const latent = explorer.latentAt(x, i);
            do latent[model.z - 1] = last.normal(); while (explorer.cluster(latent) !== label % model.clusters);
          });
        }
        return x;
      },
      uniform: (input) => {
        const numbers = stream(input.stream);
        return Float32Array.from({ length: steps.batch_size }, () => numbers.uniform(0, 1));
      },
      counter: (input) => Float32Array.of(step % input.below),
      brightness: augmented,
      saturation: augmented,
      contrast: augmented,
      sources: augmented,
      optimiser: ({ player, rule, first, updates, every }) => {
        const t = first + updates * Math.floor(step / every);
        return Float32Array.from(scalars(rule, t, rates[player] * scheduleFactor(steps.schedule, step, length)));
      },
      average: ({ share, every }) => Float32Array.of(1 / (1 + share * Math.floor(step / every))),
    };
    return (name) => {
      const input = steps.inputs[name];
      return kinds[input.kind](input);
    };
  }

  return { stepName, stepInputs, scheduleFactor };
})();
