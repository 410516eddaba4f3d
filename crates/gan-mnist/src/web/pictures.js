// The pictures that the page trains on: those that it carries, or those that people add.
"use strict";

const { Pictures, pictureOf } = (() => {
  // A byte as a number from -1 to 1, in single precision as gan-mnist computes it.
  const VALUES = Float32Array.from({ length: 256 }, (_, byte) => Math.fround(byte / 127.5) - 1);

  // Pictures [N, H, W, C] of bytes and their labels [N], in the shuffled order that a seed gives.
  class Pictures {
    constructor(shape, seed, flip) {
      Object.assign(this, { shape, seed: BigInt(seed), flip, pixels: [], labels: [], epoch: -1, order: null });
    }

    get count() {
      return this.pixels.length;
    }

    add(pixels, label) {
      this.pixels.push(pixels);
      this.labels.push(label);
      this.epoch = -1;
    }

    // The number of the picture that comes after `position` others.
    at(position) {
      const epoch = Math.floor(position / this.count);
      if (epoch !== this.epoch) {
        this.epoch = epoch;
        this.order = new Stream(this.seed, "shuffle", BigInt(epoch)).permutation(this.count);
      }
      return this.order[position % this.count];
    }

    // The `size` pictures that come after `position` others as numbers [size, H, W, C], and their labels.
    batch(position, size) {
      const [height, width, channels] = this.shape, line = width * channels;
      const images = new Float32Array(size * height * line), labels = new Uint32Array(size);
      for (let i = 0; i < size; i++) {
        const number = this.at(position + i), pixels = this.pixels[number];
        labels[i] = this.labels[number];
        const mirrored = this.flip && new Stream(this.seed, "flip", BigInt(position + i)).below(2) === 1;
        const first = i * height * line;
        for (let p = 0; p < height * line; p++) {
          const x = p % line, channel = x % channels;
          const from = mirrored ? p - x + line - channels - (x - channel) + channel : p;
          images[first + p] = VALUES[pixels[from]];
        }
      }
      return { images, labels };
    }
  }

  // A picture of a file as bytes [H, W, C]: cut to the middle, scaled, and brought to the channels of the model. Throws
  // where the browser cannot read it.
  async function pictureOf(file, [height, width, channels]) {
    let bitmap;
    try {
      bitmap = await createImageBitmap(file);
    } catch {
      throw new Error(`${file.name}: is no picture that this browser can read`);
    }
    const scale = Math.min(bitmap.width / width, bitmap.height / height);
    const [w, h] = [width * scale, height * scale];
    const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
    // What was transparent becomes white, unless the model knows transparency.
    if (channels !== 4) {
      context.fillStyle = "#fff";
      context.fillRect(0, 0, width, height);
    }
    context.imageSmoothingQuality = "high";
    context.drawImage(bitmap, (bitmap.width - w) / 2, (bitmap.height - h) / 2, w, h, 0, 0, width, height);
    bitmap.close();
    const { data } = context.getImageData(0, 0, width, height);
    const pixels = new Uint8Array(height * width * channels);
    for (let p = 0; p < height * width; p++) {
      const [r, g, b, alpha] = data.subarray(4 * p, 4 * p + 4);
      if (channels === 1) {
        // Luma of Rec. 601.
        pixels[p] = Math.round(0.299 * r + 0.587 * g + 0.114 * b);
      } else {
        // Colours are multiplied by alpha, as in training.
        pixels.set([r, g, b].map((x) => Math.round(x * alpha / 255)), p * channels);
        if (channels === 4) pixels[4 * p + 3] = alpha;
      }
    }
    return pixels;
  }

  return { Pictures, pictureOf };
})();
