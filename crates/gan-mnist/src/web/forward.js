// Computes pictures of a generator by the list of its operations (web/operation.rs, web/forward.rs), one at a time. It runs
// in a worker: its first message brings the list and the variables, each one after that the inputs of a picture.
"use strict";

// The share of a standard normal distribution below x (Abramowitz and Stegun 1964, 26.2.11 and 26.2.14).
function normalCdf(x) {
  const density = Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI), a = Math.abs(x);
  if (a < 3) {
    let term = x, sum = x;
    for (let n = 1; n < 60; n++) sum += term *= x * x / (2 * n + 1);
    return 0.5 + density * sum;
  }
  let fraction = a;
  for (let n = 99; n > 0; n--) fraction = a + n / fraction;
  return x > 0 ? 1 - density / fraction : density / fraction;
}

const sigmoid = (x) => 1 / (1 + Math.exp(-x));

// Functions of a number x with constants a and b.
const FUNCTIONS = {
  abs: Math.abs,
  affine: (x, a, b) => a * x + b,
  clamp: (x, a, b) => Math.min(b, Math.max(a, x)),
  copy_to: (x) => x,
  elu: (x, a) => x > 0 ? x : a * Math.expm1(x),
  exp: Math.exp,
  gelu: (x) => x * normalCdf(x),
  leaky_relu: (x, a) => x > 0 ? x : a * x,
  log: Math.log,
  normal_cdf: normalCdf,
  reciprocal: (x) => 1 / x,
  sigmoid,
  sign: Math.sign,
  silu: (x) => x * sigmoid(x),
  softplus: (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
  sqrt: Math.sqrt,
  square: (x) => x * x,
  tanh: Math.tanh,
};

const FUNCTIONS_OF_TWO = {
  add: (a, b) => a + b,
  div: (a, b) => a / b,
  greater: (a, b) => a > b ? 1 : 0,
  maximum: Math.max,
  mul: (a, b) => a * b,
  sub: (a, b) => a - b,
};

// Visits the elements of tensors of the same dimensions row by row: `visit` is told how many there are in a row, and of
// each tensor its first element and the way from one to the next.
function rows(dims, places, visit) {
  const last = dims.length - 1, index = new Array(dims.length).fill(0), at = places.map(({ start }) => start);
  const steps = places.map(({ strides }) => strides[last] ?? 0);
  for (;;) {
    visit(dims[last] ?? 1, at, steps);
    let axis = last - 1;
    for (; axis >= 0; axis--) {
      places.forEach(({ strides }, k) => { at[k] += strides[axis]; });
      if (++index[axis] < dims[axis]) break;
      places.forEach(({ strides }, k) => { at[k] -= dims[axis] * strides[axis]; });
      index[axis] = 0;
    }
    if (axis < 0) return;
  }
}

// Row-major strides.
function rowMajor(dims) {
  const strides = new Array(dims.length);
  for (let axis = dims.length - 1, step = 1; axis >= 0; step *= dims[axis--]) strides[axis] = step;
  return strides;
}

// Results that are summed at once.
const BLOCK = 8;
// The weights of a product in the order in which they are read.
let arranged = new Float64Array();

// Products: result `p` of `pixels`, a vector of `outs` numbers at p outs in y, is the sum over its taps of vectors of `ins`
// numbers of x times the tap's matrix. `taps` holds for each tap its first number in x and the number of its matrix, one
// result after another; those of result p end at `ends[p]`. `weight` gives the index in w of (matrix, in, out).
function product({ pixels, taps, ends, matrices, ins, outs, weight }) {
  return ([x, w], y) => {
    if (arranged.length < matrices * ins * BLOCK) arranged = new Float64Array(matrices * ins * BLOCK);
    const v = arranged;
    for (let first = 0; first < outs; first += BLOCK) {
      const width = Math.min(BLOCK, outs - first);
      for (let m = 0, to = 0; m < matrices; m++) {
        for (let i = 0; i < ins; i++, to += width) {
          for (let o = 0; o < width; o++) v[to + o] = w[weight(m, i, first + o)];
        }
      }
      for (let p = 0, tap = 0; p < pixels; p++) {
        const at = p * outs + first;
        if (width === BLOCK) sumOfEight(x, v, taps, tap, ends[p], ins, y, at);
        else sumOfFew(x, v, taps, tap, ends[p], ins, width, y, at);
        tap = ends[p];
      }
    }
  };
}

function sumOfEight(x, v, taps, tap, end, ins, y, at) {
  let a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0;
  for (; tap < end; tap += 2) {
    const from = taps[tap];
    for (let i = 0, k = taps[tap + 1] * ins * BLOCK; i < ins; i++, k += BLOCK) {
      const value = x[from + i];
      a += value * v[k];
      b += value * v[k + 1];
      c += value * v[k + 2];
      d += value * v[k + 3];
      e += value * v[k + 4];
      f += value * v[k + 5];
      g += value * v[k + 6];
      h += value * v[k + 7];
    }
  }
  y[at] = a;
  y[at + 1] = b;
  y[at + 2] = c;
  y[at + 3] = d;
  y[at + 4] = e;
  y[at + 5] = f;
  y[at + 6] = g;
  y[at + 7] = h;
}

function sumOfFew(x, v, taps, first, end, ins, width, y, at) {
  for (let o = 0; o < width; o++) {
    let sum = 0;
    for (let tap = first; tap < end; tap += 2) {
      const from = taps[tap];
      for (let i = 0, k = taps[tap + 1] * ins * width + o; i < ins; i++, k += width) sum += x[from + i] * v[k];
    }
    y[at + o] = sum;
  }
}

// How each kind of operation is computed: a function of its inputs and its output, which lies apart from them, or in the
// place of one of the same elements.
const OPERATIONS = {
  map: ({ function: name, constants: [a, b] }) => ([x], y) => {
    const f = FUNCTIONS[name];
    for (let i = 0; i < y.length; i++) y[i] = f(x[i], a, b);
  },

  pair({ function: name, dims, strides }) {
    const f = FUNCTIONS_OF_TWO[name], places = [...strides, rowMajor(dims)].map((strides) => ({ start: 0, strides }));
    return ([a, b], y) => rows(dims, places, (n, [p, q, r], [s, t]) => {
      for (let i = 0; i < n; i++) y[r + i] = f(a[p + i * s], b[q + i * t]);
    });
  },

  copy: ({ dims, from, to }) => ([x], y) => {
    y.fill(0);
    rows(dims, [from, to], (n, [p, q], [s, t]) => {
      for (let i = 0; i < n; i++) y[q + i * t] = x[p + i * s];
    });
  },

  reduce: ({ function: name, dims, strides }) => ([x], y) => {
    const f = name === "sum" ? (a, b) => a + b : Math.max;
    const results = new Float64Array(y.length).fill(name === "sum" ? 0 : -Infinity);
    rows(dims, [rowMajor(dims), strides].map((strides) => ({ start: 0, strides })), (n, [p, q], [s, t]) => {
      for (let i = 0; i < n; i++) results[q + i * t] = f(results[q + i * t], x[p + i * s]);
    });
    y.set(results);
  },

  matmul: ({ batch, m, k, n, transposed }) => product({
    pixels: batch * m,
    taps: Int32Array.from({ length: 2 * batch * m }, (_, i) => i % 2 === 0 ? i / 2 * k : Math.floor(i / 2 / m)),
    ends: Int32Array.from({ length: batch * m }, (_, i) => 2 * (i + 1)),
    matrices: batch,
    ins: k,
    outs: n,
    weight: transposed ? (b, i, o) => (b * n + o) * k + i : (b, i, o) => (b * k + i) * n + o,
  }),

  convolution({ batch, image, features, kernel, stride, padding, channels, transposed }) {
    const [from, to] = transposed ? [features, image] : [image, features];
    const [ins, outs] = transposed ? [channels[1], channels[0]] : channels;
    // For each place of the result along an axis the taps of the kernel, and what they see.
    const along = [0, 1].map((axis) => Array.from({ length: to[axis] }, (_, place) => {
      const seen = Array.from({ length: kernel[axis] }, (_, tap) => transposed ?
        (place + padding[axis] - tap) / stride[axis] : place * stride[axis] + tap - padding[axis]);
      return [...seen.entries()].filter(([, at]) => Number.isInteger(at) && at >= 0 && at < from[axis]);
    }));
    const taps = [], ends = [];
    for (let n = 0; n < batch; n++) {
      for (const down of along[0]) {
        for (const across of along[1]) {
          for (const [u, i] of down) {
            for (const [v, j] of across) taps.push(((n * from[0] + i) * from[1] + j) * ins, u * kernel[1] + v);
          }
          ends.push(taps.length);
        }
      }
    }
    return product({
      pixels: ends.length,
      taps: Int32Array.from(taps),
      ends: Int32Array.from(ends),
      matrices: kernel[0] * kernel[1],
      ins,
      outs,
      weight: transposed ? (m, i, o) => (m * outs + o) * ins + i : (m, i, o) => (m * ins + i) * outs + o,
    });
  },

  pool: ({ function: name, batch, image, windows, size, stride, padding, channels }) => ([x], y) => {
    let to = 0;
    for (let n = 0; n < batch; n++) {
      for (let i = 0; i < windows[0]; i++) {
        for (let j = 0; j < windows[1]; j++) {
          // Padding has no part in a window.
          const [top, left] = [i * stride[0] - padding[0], j * stride[1] - padding[1]];
          const [bottom, right] = [Math.min(image[0], top + size[0]), Math.min(image[1], left + size[1])];
          for (let c = 0; c < channels; c++, to++) {
            let sum = 0, count = 0, most = -Infinity;
            for (let row = Math.max(0, top); row < bottom; row++) {
              for (let column = Math.max(0, left); column < right; column++, count++) {
                const value = x[((n * image[0] + row) * image[1] + column) * channels + c];
                sum += value;
                most = Math.max(most, value);
              }
            }
            y[to] = name === "max" ? most : sum / count;
          }
        }
      }
    }
  },

  embedding: ({ rows: count, width }) => ([table, numbers], y) => numbers.forEach((number, i) => {
    const inside = number >= 0 && number < count;
    for (let k = 0; k < width; k++) y[i * width + k] = inside ? table[number * width + k] : 0;
  }),

  concat: ({ outer, widths }) => (inputs, y) => {
    for (let i = 0, to = 0; i < outer; i++) {
      inputs.forEach((x, k) => {
        y.set(x.subarray(i * widths[k], (i + 1) * widths[k]), to);
        to += widths[k];
      });
    }
  },

  softmax: ({ width }) => ([x], y) => {
    for (let first = 0; first < y.length; first += width) {
      const row = x.slice(first, first + width);
      const most = row.reduce((most, value) => Math.max(most, value), -Infinity);
      const powers = Float64Array.from(row, (value) => Math.exp(value - most));
      const sum = powers.reduce((sum, power) => sum + power, 0);
      for (let i = 0; i < width; i++) y[first + i] = powers[i] / sum;
    }
  },

  one_hot: ({ depth }) => ([numbers], y) => {
    for (let i = 0; i < y.length; i++) y[i] = numbers[Math.floor(i / depth)] === i % depth ? 1 : 0;
  },
};

// A generator: `list` is what web/forward.rs writes, `variables` are numbers by name.
class Forward {
  constructor({ memory, steps, images }, variables) {
    const vectors = memory.map(({ elements, variable, values = [] }) => {
      const vector = new Float32Array(elements);
      if (values.length === 1) vector.fill(values[0]);
      else vector.set(variable === undefined ? values : variables[variable]);
      return vector;
    });
    const part = ([number, first, length]) => vectors[number].subarray(first, first + length);
    this.inputs = new Map(memory.map(({ input }, number) => [input, vectors[number]]));
    this.steps = steps.map(({ kind, inputs, output, ...options }) =>
      ({ compute: OPERATIONS[kind](options), inputs: inputs.map(part), output: part(output) }));
    this.images = part(images);
  }

  // The numbers of a picture, of the numbers of the inputs by name.
  image(inputs) {
    for (const [name, numbers] of Object.entries(inputs)) this.inputs.get(name).set(numbers);
    for (const { compute, inputs, output } of this.steps) compute(inputs, output);
    return this.images.slice();
  }
}

let forward = null;

onmessage = ({ data }) => {
  if (forward !== null) return postMessage(forward.image(data));
  forward = new Forward(data.list, data.variables);
  return postMessage("ready");
};
