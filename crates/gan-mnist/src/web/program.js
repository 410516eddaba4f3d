// Runs a file of Gannet programs (gannet-dispatch's ProgramFile) on WebGPU.
"use strict";

const { Runtime, parseProgramFile } = (() => {
  const VERSION = 1;

  // Where the data of a file begins.
  function dataStart(bytes) {
    return 24 + Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(16, true));
  }

  // The header of a file and its data, whose words are in planes in the page. Throws where it is another file or of another
  // version.
  function parseProgramFile(bytes) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (new TextDecoder().decode(bytes.subarray(0, 8)) !== "GANNETPG") throw new Error("this is no file of Gannet programs");
    const version = view.getUint32(8, true);
    if (version !== VERSION) throw new Error(`a file of Gannet programs of version ${version}; this page runs version ${VERSION}`);
    const start = dataStart(bytes);
    const header = JSON.parse(new TextDecoder().decode(bytes.subarray(24, start)));
    return { header, data: withoutPlanes(bytes.subarray(start), 0) };
  }

  // The programs of a file on a device, with their variables, which all of them share.
  class Runtime {
    // Makes the variables with their first values. Throws where the device has no room for them.
    static async make(device, { header, data }) {
      const runtime = new Runtime();
      Object.assign(runtime, { device, header, data, variables: new Map(), pipelines: new Map() });
      await checked(device, () => {
        for (const { buffers, variables } of Object.values(header.programs)) {
          for (const { name, region } of variables) {
            if (runtime.variables.has(name)) continue;
            const bytes = buffers[region.buffer].bytes;
            runtime.variables.set(name, { buffer: runtime.buffer(name, bytes), bytes: region.bytes });
            runtime.write(name, runtime.part(header.variables[name]));
          }
        }
      });
      return runtime;
    }

    part([first, length]) {
      return this.data.subarray(first, first + length);
    }

    buffer(label, size) {
      const { STORAGE, COPY_SRC, COPY_DST } = GPUBufferUsage;
      return this.device.createBuffer({ label, size, usage: STORAGE | COPY_SRC | COPY_DST });
    }

    // Overwrites the first numbers of a variable.
    write(name, numbers) {
      this.device.queue.writeBuffer(this.variables.get(name).buffer, 0, numbers);
    }

    // The numbers of variables, by name, as they are after all that has been submitted.
    async read(names) {
      const encoder = this.device.createCommandEncoder();
      const copies = names.map((name) => {
        const { buffer, bytes } = this.variables.get(name);
        const usage = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
        const copy = this.device.createBuffer({ label: `copy of ${name}`, size: bytes, usage });
        encoder.copyBufferToBuffer(buffer, 0, copy, 0, bytes);
        return copy;
      });
      this.device.queue.submit([encoder.finish()]);
      const read = new Map();
      for (let i = 0; i < names.length; i++) {
        await copies[i].mapAsync(GPUMapMode.READ);
        read.set(names[i], new Float32Array(copies[i].getMappedRange().slice(0)));
        copies[i].destroy();
      }
      return read;
    }

    // Makes the program `name` ready. `progress` is told how many of how many shaders are compiled.
    async program(name, progress) {
      const { device, header } = this;
      const { buffers, contents, params, dispatches, inputs, outputs, variables } = header.programs[name];
      return checked(device, async () => {
        const shared = new Map(variables.map(({ name, region }) => [region.buffer, this.variables.get(name).buffer]));
        const made = buffers.map(({ label, bytes }, number) => shared.get(number) ?? this.buffer(label, bytes));
        const write = (buffer, offset, bytes) => device.queue.writeBuffer(buffer, offset, bytes);
        for (const { region, values } of contents) {
          const numbers = this.part(values);
          const repeated = numbers.length < region.bytes;
          const whole = repeated ? new Uint8Array(region.bytes).map((_, i) => numbers[i % numbers.length]) : numbers;
          write(made[region.buffer], region.offset, whole);
        }
        const { UNIFORM, COPY_DST } = GPUBufferUsage;
        const uniform = device.createBuffer({ label: "parameters", size: params[1], usage: UNIFORM | COPY_DST });
        write(uniform, 0, this.part(params));

        const names = [...new Set(dispatches.map((dispatch) => dispatch.shader))];
        let done = 0;
        progress(done, names.length);
        await Promise.all(names.map(async (shader) => {
          if (!this.pipelines.has(shader)) this.pipelines.set(shader, pipeline(device, shader, header.shaders[shader]));
          this.pipelines.set(shader, await this.pipelines.get(shader));
          progress(++done, names.length);
        }));
        const steps = dispatches.map(({ shader, params, bindings, workgroups }) => {
          const { bindings: bound, params_size: size } = header.shaders[shader];
          const storage = bindings.map(({ buffer, offset, bytes }, i) =>
            ({ binding: bound[i].index, resource: { buffer: made[buffer], offset, size: bytes } }));
          const entries = [{ binding: 0, resource: { buffer: uniform, offset: params, size } }, ...storage];
          const pipeline = this.pipelines.get(shader), layout = pipeline.getBindGroupLayout(0);
          return { pipeline, group: device.createBindGroup({ label: shader, layout, entries }), workgroups };
        });
        const named = (tensors) => new Map(tensors.map(({ name, region }) => [name, { ...region, buffer: made[region.buffer] }]));
        return new Program(device, steps, named(inputs), named(outputs));
      });
    }
  }

  class Program {
    constructor(device, steps, inputs, outputs) {
      Object.assign(this, { device, steps, inputs, outputs, staging: [] });
    }

    // Sets an input, which keeps its value until it is set again.
    write(name, numbers) {
      const { buffer, offset } = this.inputs.get(name);
      this.device.queue.writeBuffer(buffer, offset, numbers);
    }

    // Runs the program once and returns the numbers of an output. Runs follow one another in the order of the calls, each
    // with what had been written before its own.
    async run(output) {
      const { buffer, offset, bytes } = this.outputs.get(output);
      const at = this.staging.findIndex((staging) => staging.size === bytes);
      const staging = at >= 0 ? this.staging.splice(at, 1)[0] : this.device.createBuffer({
        label: `staging of ${output}`, size: bytes, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
      const encoder = this.device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      for (const { pipeline, group, workgroups } of this.steps) {
        pass.setPipeline(pipeline);
        pass.setBindGroup(0, group);
        pass.dispatchWorkgroups(...workgroups);
      }
      pass.end();
      encoder.copyBufferToBuffer(buffer, offset, staging, 0, bytes);
      this.device.queue.submit([encoder.finish()]);
      await staging.mapAsync(GPUMapMode.READ);
      const numbers = new Float32Array(staging.getMappedRange().slice(0));
      staging.unmap();
      this.staging.push(staging);
      return numbers;
    }
  }

  // What `make` makes. Throws where the device has no room for it, or refuses it.
  async function checked(device, make) {
    device.pushErrorScope("out-of-memory");
    device.pushErrorScope("validation");
    try {
      return await make();
    } finally {
      const errors = [await device.popErrorScope(), await device.popErrorScope()].filter((error) => error !== null);
      if (errors.length > 0) throw new Error(errors[0].message);
    }
  }

  function pipeline(device, label, { source, entry, params_size, bindings }) {
    const visibility = GPUShaderStage.COMPUTE;
    const storage = bindings.map(({ index, access, stride }) => {
      const type = access === "read" ? "read-only-storage" : "storage";
      return { binding: index, visibility, buffer: { type, minBindingSize: stride } };
    });
    const uniform = { binding: 0, visibility, buffer: { type: "uniform", minBindingSize: params_size } };
    const group = device.createBindGroupLayout({ label, entries: [uniform, ...storage] });
    const layout = device.createPipelineLayout({ label, bindGroupLayouts: [group] });
    const module = device.createShaderModule({ label, code: source });
    return device.createComputePipelineAsync({ label, layout, compute: { module, entryPoint: entry } });
  }

  return { Runtime, parseProgramFile };
})();
