// Training in the page: steps on WebGPU that take the same numbers as those of gan-mnist, and what is seen of them.
"use strict";

const training = (() => {
  const find = (id) => document.getElementById(id);
  const { model } = explorer;
  const { steps, set } = JSON.parse(find("training-data").textContent);
  const size = steps.batch_size, [height, width, channels] = model.shape;
  // Steps that may be under way before the losses of the first are waited for; milliseconds from one look to the next.
  const LATE = 2, SECOND = 1000;
  const BESIDE = Math.min(16, size, model.count);
  const POINTS = 400;
  const classNames = Array.from({ length: model.classes ?? 0 }, (_, number) => model.class_names[number] ?? String(number));
  const NAMES = ["discriminator, real", "discriminator, generated", "generator"];

  let runtime = null, programs = null, running = false, work = Promise.resolve();
  // Steps done, the loss of the generator's last update, and the losses of all steps: { step, losses }.
  let step = 0, generatorLoss = null, told = [];
  // The pictures that travel in the page, those that are trained on, and the last batch of those with its latents.
  let carried = null, pictures = null, last = null, means = null;
  let looked = { time: 0, step: 0 };

  const say = (text) => { find("training-status").textContent = text; };
  const count = (n, what) => `${n.toLocaleString("en")} ${what}${n === 1 ? "" : "s"}`;

  // ---- What is asked for.

  const rates = [find("rate-0"), find("rate-1")], length = find("length");
  const values = { rates: [...steps.learning_rates], length: steps.length };

  function settingsChanged() {
    const check = (input, fits, text) => {
      input.setCustomValidity(fits ? "" : text);
      input.setAttribute("aria-invalid", String(!fits));
      return fits;
    };
    rates.forEach((input, player) => {
      const rate = Number(input.value);
      const fits = input.value.trim() !== "" && Number.isFinite(rate) && rate > 0;
      if (check(input, fits, "A learning rate is a positive number.")) values.rates[player] = rate;
    });
    if (length !== null) {
      const fits = /^[0-9]{1,15}$/.test(length.value.trim()) && Number(length.value) > 0;
      if (check(length, fits, "The length of the run is a whole number of steps.")) values.length = Number(length.value);
    }
    say([...rates, length].map((input) => input?.validationMessage ?? "").filter(Boolean).join(" "));
  }

  const atEnd = () => steps.schedule !== "constant" && step >= values.length;

  // ---- Steps.

  // Does what is asked for when what was asked for before is done, and says what goes wrong.
  function inTurn(task) {
    work = work.then(task).catch((error) => {
      running = false;
      shown();
      say(error.message);
    });
    return work;
  }

  // The same between two steps of training, which then goes on.
  function between(task) {
    const goesOn = running;
    running = false;
    return inTurn(async () => {
      await task();
      if (goesOn) start();
    });
  }

  async function ready() {
    if (programs !== null) return;
    const names = Object.keys(runtime.header.programs).filter((name) => name.startsWith("train "));
    const made = new Map();
    for (const [i, name] of names.entries()) {
      const part = names.length > 1 ? `, program ${i + 1} of ${names.length}` : "";
      const progress = (done, all) => say(`Compiling the shaders of training: ${done} of ${all}${part}`);
      made.set(name.slice("train ".length), await runtime.program(name, progress));
    }
    programs = made;
    say("");
  }

  // Hands one step to the device. Resolves when its losses are there.
  async function take() {
    const program = programs.get(stepName(steps, step));
    const batch = pictures.batch(step * size, size);
    const input = stepInputs({ steps, model, step, batch, rates: values.rates, length: values.length });
    last = { ...batch, latents: input("latents") };
    for (const name of program.inputs.keys()) program.write(name, name === "latents" ? last.latents : input(name));
    const number = ++step;
    const packed = await program.run("losses");
    const losses = [...packed].filter((_, i) => i % steps.loss_stride === 0);
    if (losses.length < 3) losses.push(generatorLoss ?? NaN);
    else generatorLoss = losses[2];
    told.push({ step: number, losses });
    if (!losses.slice(0, 2).every(Number.isFinite) || (generatorLoss !== null && !Number.isFinite(generatorLoss))) {
      throw new Error(`After step ${number} the losses are ${losses.join(", ")}: training has diverged. Load weights or ` +
        "reload the page to begin anew; a smaller learning rate may help.");
    }
  }

  // Why no step can be taken now, if so.
  function obstacle() {
    if (pictures.count === 0) return "Training needs pictures: drop some on this page, or choose them below.";
    if (atEnd()) return `The run is at its end after ${count(step, "step")}: its schedule has brought the learning rates to zero. A ` +
      "longer run goes on.";
    return null;
  }

  async function train(once) {
    if (obstacle() !== null) {
      running = false;
      say(obstacle());
      return shown();
    }
    shown();
    await ready();
    if (!once && !running) return shown();
    const underWay = [];
    looked = { time: performance.now(), step };
    do {
      const taken = take();
      // Whoever waits for it later hears of an error.
      taken.catch(() => {});
      underWay.push(taken);
      if (underWay.length > LATE) await underWay.shift();
      if (performance.now() - looked.time >= SECOND) {
        await Promise.all(underWay.splice(0));
        await look();
      }
    } while (running && obstacle() === null);
    await Promise.all(underWay);
    running = false;
    await look();
    say(once ? "" : obstacle() ?? "");
    shown();
  }

  function start() {
    if (running) return;
    running = true;
    inTurn(() => train(false));
  }

  // ---- What is seen.

  function shown() {
    find("train-start").textContent = running ? "Pause" : "Start";
    find("train-step").disabled = running;
    find("training").dataset.state = running ? "running" : "paused";
    find("at-step").textContent = step.toLocaleString("en");
    find("seen").textContent = (step * size).toLocaleString("en");
    find("back").hidden = carried === null || pictures === carried;
    find("set").textContent = pictures === carried ? set.text : pictures.count === 0 ?
      "No pictures travel in this file: drop some on this page, or choose them." : `${count(pictures.count, "picture")} of yours.`;
  }

  async function look() {
    const now = performance.now(), passed = (now - looked.time) / SECOND;
    if (step > looked.step) find("speed").textContent = ((step - looked.step) / passed).toPrecision(3);
    await explorer.draw();
    await showBatch();
    showLosses();
    shown();
    looked = { time: performance.now(), step };
  }

  // Real pictures of the last batch, and what the generator makes now of that batch's latents and labels.
  async function showBatch() {
    if (last === null) return;
    const labels = Array.from({ length: model.count }, (_, i) => last.labels[i % size]);
    const x = new Float32Array(model.count * model.z);
    for (let i = 0; i < model.count; i++) x.set(explorer.latentAt(last.latents, i % size), i * model.z);
    const images = await explorer.run(x, labels);
    [...find("real").children].forEach((canvas, i) => explorer.paint(canvas, last.images, i));
    [...find("generated").children].forEach((canvas, i) => explorer.paint(canvas, images, i));
    find("batch").hidden = false;
  }

  const short = (x) => Math.abs(x) >= 1e5 || (x !== 0 && Math.abs(x) < 1e-3) ? x.toExponential(2) : String(+x.toPrecision(4));

  // Curves through the means of as many steps as a point stands for.
  function showLosses() {
    const each = Math.ceil(told.length / POINTS), points = [];
    for (let first = 0; first < told.length; first += each) {
      const part = told.slice(first, first + each);
      points.push([0, 1, 2].map((k) => part.reduce((sum, { losses }) => sum + losses[k], 0) / part.length));
    }
    const all = points.flat().filter(Number.isFinite);
    if (all.length === 0) return;
    const low = Math.min(...all), high = Math.max(...all, low + 1e-6);
    const x = (i) => points.length > 1 ? 1000 * i / (points.length - 1) : 500;
    const y = (value) => 300 * (high - value) / (high - low);
    NAMES.forEach((name, k) => {
      const line = points.map((point, i) => Number.isFinite(point[k]) ? `${x(i).toFixed(1)} ${y(point[k]).toFixed(1)}` : "");
      find(`loss-${k}`).setAttribute("d", line.filter(Boolean).map((at, i) => (i === 0 ? "M" : "L") + at).join(""));
      find(`loss-${k}-value`).textContent = short(told.at(-1).losses[k]);
    });
    find("loss-high").textContent = short(high);
    find("loss-low").textContent = short(low);
    find("loss-first").textContent = told[0].step.toLocaleString("en");
    find("loss-last").textContent = told.at(-1).step.toLocaleString("en");
    find("losses").hidden = false;
  }

  // ---- Pictures.

  const emptySet = () => new Pictures(model.shape, steps.seed, set?.flip ?? false);

  async function carriedPictures() {
    if (set === null) return null;
    const bytes = await unpacked("pictures"), len = height * width * channels, made = emptySet();
    const labels = new DataView(bytes.buffer, set.count * len);
    for (let i = 0; i < set.count; i++) {
      made.add(bytes.subarray(i * len, (i + 1) * len), labels.getUint32(4 * i, true));
    }
    return made;
  }

  // The label of a picture that is added: the class that its folder is called, or the one that is chosen, and of that the
  // cluster whose pictures here are most like it, or, where there are none, one after the other.
  function labelOf(pixels, folder) {
    if (steps.labels === null) return 0;
    const named = classNames.indexOf(folder);
    const first = (named >= 0 ? named : Number(find("add-class")?.value ?? 0)) * model.clusters;
    if (model.clusters === 1) return first;
    if (means === null && carried !== null) {
      const sums = Array.from({ length: steps.labels }, () => ({ sum: new Float64Array(pixels.length), n: 0 }));
      carried.pixels.forEach((other, i) => {
        const of = sums[carried.labels[i]];
        of.n++;
        other.forEach((byte, p) => { of.sum[p] += byte; });
      });
      means = sums.map(({ sum, n }) => n > 0 ? sum.map((x) => x / n) : null);
    }
    const distance = (mean) => mean.reduce((sum, x, p) => sum + (x - pixels[p]) ** 2, 0);
    let best = first + pictures.count % model.clusters, least = Infinity;
    for (let label = first; means !== null && label < first + model.clusters; label++) {
      const found = means[label] === null ? Infinity : distance(means[label]);
      if (found < least) [best, least] = [label, found];
    }
    return best;
  }

  async function addPictures(files) {
    const refused = [], before = pictures;
    let added = 0;
    for (const [i, file] of files.entries()) {
      if (i % 20 === 0) say(`Reading pictures: ${i} of ${files.length}`);
      try {
        const pixels = await pictureOf(file, model.shape);
        if (pictures === carried) pictures = emptySet();
        pictures.add(pixels, labelOf(pixels, file.webkitRelativePath.split("/").at(-2)));
        added++;
      } catch (error) {
        refused.push(error.message);
      }
    }
    const parts = added > 0 ? [`${count(added, "picture")} added${before === carried && carried !== null ?
      "; training goes on with these instead of those of the file" : ""}.`] : [];
    if (refused.length > 0) {
      const others = refused.length > 3 ? `, and ${refused.length - 3} more` : "";
      parts.push(`Left out: ${refused.slice(0, 3).join("; ")}${others}.`);
    }
    say(parts.join(" "));
    shown();
  }

  // ---- Weights.

  const number = (x) => Number.isInteger(x) ? x.toFixed(1) : String(x);

  // What a file of this moment says of itself.
  function description() {
    const pieces = {
      step: String(step),
      generator_loss: generatorLoss === null ? "" : `generator_loss = ${number(generatorLoss)}\n`,
      length: String(values.length),
    };
    return steps.description.map((piece) => typeof piece === "string" ? pieces[piece] :
      piece.text ?? number(values.rates[piece.learning_rate])).join("");
  }

  async function saveWeights() {
    const read = await runtime.read([...new Set(steps.tensors.map(({ variable }) => variable))]);
    const tensors = steps.tensors.map(({ name, shape, variable, first }) => {
      const numbers = read.get(variable).slice(first, first + shape.reduce((a, b) => a * b, 1));
      const wrong = numbers.find((x) => !Number.isFinite(x));
      if (wrong !== undefined) throw new Error(`Nothing was saved: after step ${step} the tensor '${name}' holds ${wrong}.`);
      return { name, shape, numbers };
    });
    const link = document.createElement("a");
    link.href = URL.createObjectURL(modelFile(description(), tensors));
    link.download = `${model.name}-step-${step}.safetensors`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    say(`Saved as ${link.download}.`);
  }

  async function loadWeights(file) {
    let read;
    try {
      read = readModelFile(new Uint8Array(await file.arrayBuffer()), steps.tensors);
    } catch (error) {
      throw new Error(`${file.name}: ${error.message}.`);
    }
    const variables = new Map();
    for (const { name, variable, first } of steps.tensors) {
      if (!variables.has(variable)) variables.set(variable, new Float32Array(runtime.variables.get(variable).bytes / 4));
      variables.get(variable).set(read.tensors.get(name), first);
    }
    for (const [variable, numbers] of variables) runtime.write(variable, numbers);
    ({ step, generatorLoss } = read);
    [told, last] = [[], null];
    find("batch").hidden = find("losses").hidden = true;
    let text = `Loaded ${file.name}, after ${count(step, "step")}.`;
    if (atEnd()) {
      values.length = step + steps.length;
      length.value = String(values.length);
      text += ` Its run was over: the schedule of the learning rates is now that of a run of ${count(values.length, "step")}.`;
    }
    await explorer.draw();
    shown();
    say(text);
  }

  // Files that were dropped or chosen: weights, or pictures.
  function takeIn(files) {
    const weights = (file) => file.name.toLowerCase().endsWith(".safetensors");
    const [models, others] = [files.filter(weights), files.filter((file) => !weights(file))];
    if (models.length > 1) return say(`One file of weights at a time, please: these are ${models.map(({ name }) => name).join(", ")}.`);
    if (models.length > 0) between(() => loadWeights(models[0]));
    if (others.length > 0) between(() => addPictures(others));
  }

  // ---- The page.

  function connect() {
    find("train-start").addEventListener("click", () => {
      if (running) running = false;
      else start();
      shown();
    });
    find("train-step").addEventListener("click", () => { if (!running) inTurn(() => train(true)); });
    for (const input of [...rates, length]) input?.addEventListener("input", settingsChanged);
    for (const id of ["add", "add-folder", "load-weights"]) {
      find(id).addEventListener("change", (event) => {
        takeIn([...event.target.files]);
        event.target.value = "";
      });
    }
    find("back").addEventListener("click", () => {
      pictures = carried;
      shown();
    });
    find("save-weights").addEventListener("click", () => between(saveWeights));
    const dropping = (over) => document.body.classList.toggle("dropping", over);
    document.addEventListener("dragover", (event) => {
      event.preventDefault();
      dropping(true);
    });
    document.addEventListener("dragleave", (event) => { if (event.relatedTarget === null) dropping(false); });
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      dropping(false);
      const items = [...event.dataTransfer.items].filter((item) => item.kind === "file");
      const folder = items.map((item) => item.webkitGetAsEntry()).find((entry) => entry?.isDirectory);
      if (folder) {
        const why = location.protocol === "file:" ?
          ", and pages that were opened from disk may not look into folders that are dropped" : "";
        return say(`${folder.name} is a folder${why}: choose it below, or drop the pictures in it.`);
      }
      takeIn(items.map((item) => item.getAsFile()));
    });
    find("real").append(...Array.from({ length: BESIDE }, explorer.canvas));
    find("generated").append(...Array.from({ length: BESIDE }, explorer.canvas));
  }

  async function begin() {
    runtime = await explorer.begun;
    carried = await carriedPictures();
    pictures = carried ?? emptySet();
    runtime.device.lost.then(() => { running = false; });
    connect();
    shown();
    find("training").hidden = false;
  }

  begin();

  return { takeIn, losses: () => told, pictures: () => pictures };
})();
