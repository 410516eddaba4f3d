// Model files of gan-mnist: safetensors with a description under the key `gannet`.
"use strict";

const { modelFile, readModelFile } = (() => {
  const BYTES = { F32: 4, F64: 8 };

  // The bytes of a file: `tensors` are { name, shape, numbers }.
  function modelFile(description, tensors) {
    const header = { __metadata__: { gannet: description } };
    let end = 0;
    for (const { name, shape, numbers } of tensors) {
      header[name] = { dtype: "F32", shape, data_offsets: [end, end + numbers.byteLength] };
      end += numbers.byteLength;
    }
    let text = new TextEncoder().encode(JSON.stringify(header));
    const padded = new Uint8Array(Math.ceil(text.length / 8) * 8).fill(32);
    padded.set(text);
    const length = new Uint8Array(8);
    new DataView(length.buffer).setBigUint64(0, BigInt(padded.length), true);
    return new Blob([length, padded, ...tensors.map(({ numbers }) => numbers)]);
  }

  // What a file holds of the tensors that a model has: { step, generatorLoss, tensors }, numbers by name. Throws, with a
  // sentence that says what the file is, where it is damaged, or of another model.
  function readModelFile(bytes, places) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (bytes.length < 9 || bytes[8] !== 0x7b) throw new Error("this is a file of another kind; expected a safetensors file");
    const length = Number(view.getBigUint64(0, true));
    if (8 + length > bytes.length) {
      throw new Error(`this file is truncated: its header takes ${length} bytes, ${bytes.length - 8} are left`);
    }
    let header;
    try {
      header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(8, 8 + length)));
    } catch {
      throw new Error("this file is damaged: its header cannot be read");
    }
    const description = header.__metadata__?.gannet;
    if (typeof description !== "string") {
      throw new Error("this safetensors file holds no Gannet model: its metadata has no entry 'gannet'");
    }
    // What stands before the first table.
    const said = (key, value) => description.split(/^\[/m)[0].match(new RegExp(`^${key} = (${value})$`, "m"))?.[1];
    const kind = said("kind", '"[^"]*"');
    if (kind && kind !== '"state of a GAN"') throw new Error(`this file holds a ${kind.slice(1, -1)}, not a GAN`);
    const version = said("version", "\\d+"), step = Number(said("step", "\\d+") ?? NaN);
    if (version !== "1") throw new Error(`this file has version ${version ?? "?"}, expected version 1`);
    if (!Number.isSafeInteger(step)) throw new Error("this file does not say how far its run was");
    const tensors = new Map();
    for (const { name, shape } of places) {
      const tensor = header[name];
      if (tensor === undefined) throw new Error(`the tensor '${name}' is missing: this file is of another model`);
      const { dtype, shape: found, data_offsets: [first, end] = [] } = tensor;
      if (JSON.stringify(found) !== JSON.stringify(shape)) {
        throw new Error(`the tensor '${name}' has the shape [${found}] in this file, the model of this page needs [${shape}]`);
      }
      const size = BYTES[dtype], count = shape.reduce((a, b) => a * b, 1);
      if (size === undefined) throw new Error(`the tensor '${name}' has numbers of type ${dtype}; expected F32 or F64`);
      if (!(first >= 0) || end - first !== count * size || 8 + length + end > bytes.length) {
        throw new Error(`this file is truncated or damaged: the tensor '${name}' is not whole`);
      }
      const copy = bytes.slice(8 + length + first, 8 + length + end).buffer;
      const numbers = dtype === "F32" ? new Float32Array(copy) : Float32Array.from(new Float64Array(copy));
      const wrong = numbers.find((x) => !Number.isFinite(x));
      if (wrong !== undefined) throw new Error(`the tensor '${name}' holds ${wrong} in this file`);
      tensors.set(name, numbers);
    }
    const loss = Number(said("generator_loss", "[-+0-9.eE]+") ?? NaN);
    return { step, generatorLoss: Number.isFinite(loss) ? loss : null, tensors };
  }

  return { modelFile, readModelFile };
})();
