// Runs a file of Gannet programs (gannet-dispatch's ProgramFile) on WebGPU.
"use strict";

const { Program, parseProgramFile } = (() => {
  const VERSION = 1;

  // The header of a file and its data. Throws where it is another file or of another version.
  function parseProgramFile(bytes) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (new TextDecoder().decode(bytes.subarray(0, 8)) !== "GANNETPG") throw new Error("this is no file of Gannet programs");
    const version = view.getUint32(8, true);
    if (version !== VERSION) throw new Error(`a file of Gannet programs of version ${version}; this page runs version ${VERSION}`);
    const length = Number(view.getBigUint64(16, true));
    const header = JSON.parse(new TextDecoder().decode(bytes.subarray(24, 24 + length)));
    return { header, data: bytes.subarray(24 + length) };
  }

  class Program {
    // Makes the program `name` of a file ready on a device. `progress` is told how many of how many shaders are compiled.
    static async make(device, { header, data }, name, progress) {
      const program = new Program();
      const { buffers, contents, params, dispatches, inputs, outputs, variables } = header.programs[name];
      const part = ([first, length]) => data.subarray(first, first + length);
      const { STORAGE, UNIFORM, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
      device.pushErrorScope("out-of-memory");
      device.pushErrorScope("validation");
      const made = buffers.map(({ label, bytes }) =>
        device.createBuffer({ label, size: bytes, usage: STORAGE | COPY_SRC | COPY_DST }));
      const write = (buffer, offset, bytes) => device.queue.writeBuffer(buffer, offset, bytes);
      for (const { region, values } of contents) {
        const numbers = part(values);
        const repeated = numbers.length < region.bytes;
        const whole = repeated ? new Uint8Array(region.bytes).map((_, i) => numbers[i % numbers.length]) : numbers;
        write(made[region.buffer], region.offset, whole);
      }
      for (const { name, region } of variables) write(made[region.buffer], region.offset, part(header.variables[name]));
      const uniform = device.createBuffer({ label: "parameters", size: params[1], usage: UNIFORM | COPY_DST });
      write(uniform, 0, part(params));

      const names = [...new Set(dispatches.map((dispatch) => dispatch.shader))];
      const pipelines = new Map();
      progress(0, names.length);
      await Promise.all(names.map(async (shader) => {
        pipelines.set(shader, await pipeline(device, shader, header.shaders[shader]));
        progress(pipelines.size, names.length);
      }));
      program.steps = dispatches.map(({ shader, params, bindings, workgroups }) => {
        const { bindings: bound, params_size: size } = header.shaders[shader];
        const storage = bindings.map(({ buffer, offset, bytes }, i) =>
          ({ binding: bound[i].index, resource: { buffer: made[buffer], offset, size: bytes } }));
        const entries = [{ binding: 0, resource: { buffer: uniform, offset: params, size } }, ...storage];
        const layout = pipelines.get(shader).getBindGroupLayout(0);
        return { pipeline: pipelines.get(shader), group: device.createBindGroup({ label: shader, layout, entries }), workgroups };
      });
      const named = (tensors) => new Map(tensors.map(({ name, region }) => [name, { ...region, buffer: made[region.buffer] }]));
      Object.assign(program, { device, inputs: named(inputs), outputs: named(outputs) });
      program.staging = new Map(outputs.map(({ name, region }) =>
        [name, device.createBuffer({ label: `staging of ${name}`, size: region.bytes, usage: MAP_READ | COPY_DST })]));
      for (let scope = 0; scope < 2; scope++) {
        const error = await device.popErrorScope();
        if (error) throw new Error(error.message);
      }
      return program;
    }

    // Sets an input, which keeps its value until it is set again.
    write(name, numbers) {
      const { buffer, offset } = this.inputs.get(name);
      this.device.queue.writeBuffer(buffer, offset, numbers);
    }

    // Runs the program once and returns the numbers of an output. One call at a time.
    async run(output) {
      const { buffer, offset, bytes } = this.outputs.get(output);
      const staging = this.staging.get(output);
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
      return numbers;
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

  return { Program, parseProgramFile };
})();
