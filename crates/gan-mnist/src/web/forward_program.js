// A generator that JavaScript computes, one picture at a time, in workers (forward.js): in the place of WebGPU.
"use strict";

class ForwardProgram {
  // Of the variables of a file of programs, and the list of operations in the page. Throws where there can be no workers.
  constructor({ header, data }) {
    const list = JSON.parse(document.getElementById("forward").textContent);
    const variables = {};
    for (const { variable } of list.memory) {
      if (variable === undefined) continue;
      const [first, length] = header.variables[variable];
      variables[variable] = new Float32Array(data.slice(first, first + length).buffer);
    }
    // Inputs: numbers of one picture, by name.
    this.sizes = new Map(list.memory.filter(({ input }) => input !== undefined).map(({ input, elements }) => [input, elements]));
    this.inputs = new Map([...this.sizes.keys()].map((name) => [name, new Float32Array()]));
    this.pixels = list.images[2];
    const script = URL.createObjectURL(new Blob([document.getElementById("forward-worker").textContent], { type: "text/javascript" }));
    // One core stays for the page.
    const count = Math.min(4, Math.max(1, (navigator.hardwareConcurrency ?? 2) - 1));
    this.workers = Array.from({ length: count }, () => new Worker(script));
    // Resolves when all of them can draw.
    this.ready = Promise.all(this.workers.map((worker) => this.ask(worker, { list, variables })));
  }

  // What a worker answers to a message.
  ask(worker, message) {
    return new Promise((resolve, reject) => {
      worker.onmessage = (event) => resolve(event.data);
      worker.onerror = (event) => {
        event.preventDefault();
        reject(new Error(event.message || "it cannot be started"));
      };
      worker.postMessage(message);
    });
  }

  // Sets an input, which keeps its value until it is set again.
  write(name, numbers) {
    this.inputs.set(name, numbers);
  }

  // Draws the first `count` images. `each` is told of every one that is there; once `stopped` says so, no more are drawn,
  // and there is no result.
  async run(_, { count, each, stopped }) {
    const images = new Float32Array(count * this.pixels);
    let next = 0;
    await Promise.all(this.workers.map(async (worker) => {
      while (next < count && !stopped()) {
        const i = next++;
        const own = [...this.sizes].map(([name, size]) => [name, this.inputs.get(name).slice(i * size, (i + 1) * size)]);
        images.set(await this.ask(worker, Object.fromEntries(own)), i * this.pixels);
        if (!stopped()) each?.(images, i);
      }
    }));
    return stopped() ? null : images;
  }
}
