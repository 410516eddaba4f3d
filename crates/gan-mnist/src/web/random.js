// The random numbers of gannet-random: ChaCha8, a stream for each purpose, and normal numbers by the ziggurat method.
"use strict";

const { Stream, normals } = (() => {
  const rotate = (x, n) => (x << n) | (x >>> (32 - n));

  // The block function of ChaCha with eight rounds (Bernstein 2008) on 16 words.
  function block(state, out) {
    const x = Int32Array.from(state);
    const quarter = (a, b, c, d) => {
      x[a] += x[b]; x[d] = rotate(x[d] ^ x[a], 16);
      x[c] += x[d]; x[b] = rotate(x[b] ^ x[c], 12);
      x[a] += x[b]; x[d] = rotate(x[d] ^ x[a], 8);
      x[c] += x[d]; x[b] = rotate(x[b] ^ x[c], 7);
    };
    for (let round = 0; round < 4; round++) {
      for (let i = 0; i < 4; i++) quarter(i, 4 + i, 8 + i, 12 + i);
      for (let i = 0; i < 4; i++) quarter(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4);
    }
    for (let i = 0; i < 16; i++) out[i] = x[i] + state[i];
  }

  // The 64-bit FNV-1a hash of ASCII text.
  function fnv1a(text) {
    let hash = 0xcbf29ce484222325n;
    for (const c of text) hash = BigInt.asUintN(64, (hash ^ BigInt(c.charCodeAt(0))) * 0x100000001b3n);
    return hash;
  }

  const words = (number) => [Number(number & 0xffffffffn) | 0, Number(number >> 32n) | 0];

  // The ziggurat of the normal distribution in 256 layers of equal area (Doornik 2005): right edges, and the density there.
  const density = (x) => Math.exp(-x * x / 2);
  const R = 3.654152885361008796, AREA = 0.00492867323399;
  const edges = new Float64Array(257);
  edges[0] = AREA / density(R);
  edges[1] = R;
  for (let i = 2; i < 256; i++) edges[i] = Math.sqrt(-2 * Math.log(AREA / edges[i - 1] + density(edges[i - 1])));
  const heights = edges.map(density);

  // From 64 bits, low word first: a number from 0 to below 1, and one between the two.
  const even = ([low, high]) => (high * 2 ** 21 + (low >>> 11)) * 2 ** -53;
  const between = ([low, high]) => (high * 2 ** 20 + (low >>> 12) + 0.5) * 2 ** -52;

  class Stream {
    // The stream for `name` and `number` under `seed`; both numbers are BigInt.
    constructor(seed, name, number) {
      this.state = new Int32Array(16);
      this.state.set([0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, ...words(seed), ...words(number)]);
      this.state.set(words(fnv1a(name)), 14);
      this.out = new Uint32Array(16);
      this.at = 16;
    }

    // The next 32 bits.
    word() {
      if (this.at === 16) {
        block(this.state, this.out);
        if (++this.state[12] === 0) this.state[13]++;
        this.at = 0;
      }
      return this.out[this.at++];
    }

    // The next 64 bits as two words, low first.
    pair() {
      const low = this.word();
      return [low, this.word()];
    }

    // A number of the standard normal distribution.
    normal() {
      for (;;) {
        const [low, high] = this.pair();
        const layer = low & 0xff;
        const u = (high * 2 ** 20 + (low >>> 12)) * 2 ** -51 - 1;
        const x = u * edges[layer];
        if (Math.abs(x) < edges[layer + 1]) return x;
        if (layer === 0) return u < 0 ? -this.tail() : this.tail();
        if (heights[layer + 1] + (heights[layer] - heights[layer + 1]) * even(this.pair()) < density(x)) return x;
      }
    }

    tail() {
      for (;;) {
        const x = Math.log(between(this.pair())) / R, y = Math.log(between(this.pair()));
        if (-2 * y >= x * x) return R - x;
      }
    }

    // A number drawn evenly from `low` to below `high`.
    uniform(low, high) {
      return low + (high - low) * even(this.pair());
    }

    // A whole number drawn evenly from 0 to below `n`, which is less than 2^32, by Canon's method.
    below(n) {
      // The high and the low word of the product of a word with n.
      const product = (word) => {
        const carry = Math.floor((word & 0xffff) * n / 65536);
        return [Math.floor(((word >>> 16) * n + carry) / 65536), Math.imul(word, n) >>> 0];
      };
      const [result, low] = product(this.word());
      if (low <= 2 ** 32 - n) return result;
      const [more] = product(this.word());
      return low + more >= 2 ** 32 ? result + 1 : result;
    }

    // The numbers from 0 to below `n` in a random order (Fisher and Yates).
    permutation(n) {
      const order = Uint32Array.from({ length: n }, (_, i) => i);
      for (let i = n - 1; i > 0; i--) {
        const other = this.below(i + 1);
        [order[i], order[other]] = [order[other], order[i]];
      }
      return order;
    }
  }

  // `count` numbers of the standard normal distribution.
  function normals(count, seed, name, number) {
    const stream = new Stream(seed, name, number);
    return Float32Array.from({ length: count }, () => stream.normal());
  }

  return { Stream, normals };
})();
