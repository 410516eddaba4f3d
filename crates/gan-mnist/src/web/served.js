// Has pictures drawn by the process that serves the page, in the place of WebGPU.
"use strict";

class ServedProgram {
  // `names` are its inputs in the order in which the process takes them.
  constructor(names) {
    this.inputs = new Map(names.map((name) => [name, new Float32Array()]));
  }

  // Sets an input, which keeps its value until it is set again.
  write(name, numbers) {
    this.inputs.set(name, numbers);
  }

  // Runs the program once and returns the numbers of its images.
  async run() {
    let answer;
    try {
      answer = await fetch("draw", { method: "POST", body: new Blob([...this.inputs.values()]) });
    } catch {
      throw new Error("it does not answer, and may have ended");
    }
    if (!answer.ok) throw new Error((await answer.text()).trim());
    return new Float32Array(await answer.arrayBuffer());
  }
}
