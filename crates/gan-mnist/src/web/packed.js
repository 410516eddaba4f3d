// What the page carries beside its text: gzip, written in printable characters (web/packed.rs).
"use strict";

const { unpacked, withoutPlanes } = (() => {
  // The 91 digits in their order: printable characters that can stand in a script element as they are.
  const DIGITS = Array.from({ length: 94 }, (_, i) => String.fromCharCode(33 + i)).filter((digit) => !"&<\\".includes(digit));
  const values = new Uint8Array(128);
  DIGITS.forEach((digit, value) => { values[digit.charCodeAt(0)] = value; });

  // Bytes of a text: its length in decimals and a colon, then two digits for each 13 bits, the lowest first.
  function bytes(text) {
    const colon = text.indexOf(":");
    const out = new Uint8Array(Number(text.slice(0, colon)));
    let bits = 0, held = 0, at = 0;
    for (let i = colon + 1; at < out.length; i += 2) {
      bits |= (values[text.charCodeAt(i)] * 91 + values[text.charCodeAt(i + 1)]) << held;
      for (held += 13; held >= 8 && at < out.length; held -= 8) {
        out[at++] = bits & 0xff;
        bits >>>= 8;
      }
    }
    return out;
  }

  // The bytes that a script element carries.
  async function unpacked(id) {
    const stream = new Blob([bytes(document.getElementById(id).textContent)]).stream();
    return new Uint8Array(await new Response(stream.pipeThrough(new DecompressionStream("gzip"))).arrayBuffer());
  }

  // Words of four bytes from their planes: all first bytes, then all second ones, and so on. What comes before byte `first`
  // stays.
  function withoutPlanes(planes, first) {
    const count = (planes.length - first) / 4, out = planes.slice();
    for (let plane = 0; plane < 4; plane++) {
      for (let i = 0, from = first + plane * count, to = first + plane; i < count; i++, to += 4) out[to] = planes[from + i];
    }
    return out;
  }

  return { unpacked, withoutPlanes };
})();
