// The random numbers of gannet-random: ChaCha8, a stream for each purpose, and normal numbers by the ziggurat method.
"use strict";

const { normals } = (() => {
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

  // The stream for `name` and `number` under `seed`: a function that returns the next 64 bits as two words, low first.
  function stream(seed, name, number) {
    const state = new Int32Array(16);
    state.set([0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, ...words(seed), ...words(number)]);
    state.set(words(fnv1a(name)), 14);
    const out = new Uint32Array(16);
    let at = 16;
    return () => {
      if (at === 16) {
        block(state, out);
        if (++state[12] === 0) state[13]++;
        at = 0;
      }
      at += 2;
      return [out[at - 2], out[at - 1]];
    };
  }

  // The ziggurat of the normal distribution in 256 layers of equal area (Doornik 2005): right edges, and the density there.
  const density = (x) => Math.exp(-x * x / 2);
  const R = 3.654152885361008796, AREA = 0.00492867323399;
  const edges = new Float64Array(257);
  edges[0] = AREA / density(R);
  edges[1] = R;
  for (let i = 2; i < 256; i++) edges[i] = Math.sqrt(-2 * Math.log(AREA / edges[i - 1] + density(edges[i - 1])));
  const heights = edges.map(density);

  // `count` numbers of the standard normal distribution.
  function normals(count, seed, name, number) {
    const next = stream(seed, name, number);
    const even = ([low, high]) => (high * 2 ** 21 + (low >>> 11)) * 2 ** -53;
    const between = ([low, high]) => (high * 2 ** 20 + (low >>> 12) + 0.5) * 2 ** -52;
    const tail = () => {
      for (;;) {
        const x = Math.log(between(next())) / R, y = Math.log(between(next()));
        if (-2 * y >= x * x) return R - x;
      }
    };
    const normal = () => {
      for (;;) {
        const [low, high] = next();
        const layer = low & 0xff;
        const u = (high * 2 ** 20 + (low >>> 12)) * 2 ** -51 - 1;
        const x = u * edges[layer];
        if (Math.abs(x) < edges[layer + 1]) return x;
        if (layer === 0) return u < 0 ? -tail() : tail();
        if (heights[layer + 1] + (heights[layer] - heights[layer + 1]) * even(next()) < density(x)) return x;
      }
    };
    return Float32Array.from({ length: count }, normal);
  }

  return { normals };
})();
