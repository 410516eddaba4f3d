// The explorer: what a generator has learnt, to look at. It draws what `gan-mnist generate` draws from the same seed.
"use strict";

const explorer = (() => {
  const model = JSON.parse(document.getElementById("model").textContent);
  const find = (id) => document.getElementById(id);
  const [height, width, channels] = model.shape;
  const BETWEEN = Math.min(9, model.count);

  // ---- What is asked for.

  const truncation = find("truncation"), seed = find("seed"), save = find("save");
  const sliders = [...document.querySelectorAll("[data-direction]")];
  const classInputs = [...document.querySelectorAll("[name=class]")];
  // The images chosen for the way between two: { latent, label }, in the order of their choice. A label is class times
  // clusters plus cluster.
  let chosen = [];

  function seedValue() {
    const text = seed.value.trim();
    const fits = /^[0-9]{1,20}$/.test(text) && BigInt(text) < 1n << 64n;
    seed.setCustomValidity(fits ? "" : "a whole number from 0 to 18446744073709551615");
    seed.setAttribute("aria-invalid", String(!fits));
    return fits ? BigInt(text) : null;
  }

  // Latents [count, z] of a seed, nearer to their middle by the truncation, moved along the directions.
  function latents(number) {
    const { z, clusters } = model;
    const x = normals(model.count * z, number, "latents", (1n << 64n) - 1n);
    // The last number of a model with clusters says which cluster an image is of, all of which are as likely.
    const scaled = z - (clusters > 1 ? 1 : 0), factor = Math.fround(truncation.value);
    for (let i = 0; i < x.length; i++) if (i % z < scaled) x[i] *= factor;
    sliders.forEach((slider, k) => {
      const by = Number(slider.value);
      if (by !== 0) for (let i = 0; i < x.length; i++) x[i] += by * model.directions[k][i % z];
    });
    return x;
  }

  // The classes that are asked for, in turn or all the same.
  function classes() {
    const asked = classInputs.find((input) => input.checked)?.value ?? "all";
    return Array.from({ length: model.count }, (_, i) => asked === "all" ? i % (model.classes ?? 1) : Number(asked));
  }

  const bounds = model.bounds.map(Math.fround);
  const cluster = (latent) => bounds.filter((bound) => bound <= latent[model.z - 1]).length;
  const latentAt = (x, i) => x.subarray(i * model.z, (i + 1) * model.z);

  // ---- Drawing.

  let program = null, running = false, again = false, shown = null;
  const state = (name) => { document.documentElement.dataset.state = name; };
  const say = (text) => { find("status").textContent = text; };

  // Images [count, pixels] of latents [count, z] and the label of each; on the way to others also the labels at its end,
  // and how far along it they are. Of programs that draw one after another, `each` is called with the images and the
  // number of one that is there; they draw the first `count`, and give null when something else is asked for meanwhile.
  function run(x, labels, { ends = labels, shares = labels.map(() => 0), count = model.count, each } = {}) {
    program.write("latents", x);
    if (program.inputs.has("labels")) {
      program.write("labels", Float32Array.from(labels));
      program.write("other_labels", Float32Array.from(ends));
      program.write("share", Float32Array.from(shares));
    }
    return program.run("images", { count, each, stopped: () => again });
  }

  const labelOf = (number, latent) => number * model.clusters + (model.clusters > 1 ? cluster(latent) : 0);

  // A byte for a number in -1 to 1, as in every picture of gan-mnist.
  const byte = (value) => Math.min(255, Math.max(0, Math.round(Math.fround(Math.fround(value + 1) * 127.5))));

  function paint(canvas, images, i) {
    const size = height * width, pixels = new Uint8ClampedArray(size * 4);
    const at = (p, c) => byte(images[(i * size + p) * channels + Math.min(c, channels - 1)]);
    for (let p = 0; p < size; p++) {
      const alpha = channels === 4 ? at(p, 3) : 255;
      // Colours are multiplied by alpha, as in training; those of a canvas are not.
      for (let c = 0; c < 3; c++) {
        pixels[4 * p + c] = alpha === 255 ? at(p, c) : alpha && Math.floor((at(p, c) * 255 + (alpha >> 1)) / alpha);
      }
      pixels[4 * p + 3] = alpha;
    }
    canvas.getContext("2d").putImageData(new ImageData(pixels, width, height), 0, 0);
  }

  // The point of the way between two latents along the great circle between their directions (White 2016).
  function slerp(a, b, t) {
    const dot = (x, y) => x.reduce((sum, value, i) => sum + value * y[i], 0);
    const angle = Math.acos(Math.min(1, Math.max(-1, dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b)))));
    const sine = Math.sin(angle);
    const [from, to] = sine > 1e-6 ? [Math.sin((1 - t) * angle) / sine, Math.sin(t * angle) / sine] : [1 - t, t];
    return a.map((value, i) => from * value + to * b[i]);
  }

  async function drawWay() {
    const [a, b] = chosen;
    const x = new Float32Array(model.count * model.z), shares = new Array(model.count).fill(0);
    for (let i = 0; i < BETWEEN; i++) {
      shares[i] = BETWEEN > 1 ? i / (BETWEEN - 1) : 0;
      x.set(slerp(a.latent, b.latent, shares[i]), i * model.z);
    }
    const canvases = [...find("way").children], each = (images, i) => paint(canvases[i], images, i);
    const ends = shares.map(() => b.label);
    const images = await run(x, shares.map(() => a.label), { ends, shares, count: BETWEEN, each });
    if (images !== null) canvases.forEach((_, i) => each(images, i));
  }

  // Draws what is asked for now; what is asked for meanwhile is drawn when it is done.
  async function draw() {
    if (program === null) return;
    if (running) { again = true; return; }
    running = true;
    state("drawing");
    try {
      do {
        again = false;
        const number = seedValue();
        if (number !== null) {
          const x = latents(number), asked = classes();
          const labels = asked.map((number, i) => labelOf(number, latentAt(x, i)));
          let done = 0;
          const each = (images, i) => {
            say(`Drawing: ${++done} of ${model.count}`);
            paint(tiles[i].firstChild, images, i);
          };
          const images = await run(x, labels, { each });
          if (images === null) continue;
          shown = { x, labels };
          tiles.forEach((tile, i) => {
            paint(tile.firstChild, images, i);
            tile.setAttribute("aria-label", `Image ${i}${model.classes === null ? "" : `, ${className(asked[i])}`}`);
          });
        }
        if (chosen.length === 2) await drawWay();
      } while (again);
      say(seed.validationMessage && `The seed is ${seed.validationMessage}.`);
      state("ready");
    } catch (error) {
      fail(error);
    } finally {
      running = false;
    }
  }

  const className = (label) => model.class_names[label] ?? `class ${label}`;

  // Who draws.
  let drawer = "The GPU";

  function fail(error) {
    program = null;
    say(`${drawer} reports an error: ${error.message}. Reload the page to try again.`);
    state("failed");
  }

  // ---- The page.

  function canvas() {
    const canvas = document.createElement("canvas");
    Object.assign(canvas, { width, height });
    return canvas;
  }

  const tiles = Array.from({ length: model.count }, (_, i) => {
    const tile = document.createElement("button");
    tile.type = "button";
    tile.setAttribute("aria-pressed", "false");
    tile.setAttribute("aria-label", `Image ${i}`);
    tile.append(canvas());
    tile.addEventListener("click", () => choose(i));
    return tile;
  });

  // Chooses an image as an end of the way; a third one begins anew.
  function choose(i) {
    if (shown === null) return;
    if (chosen.length === 2) forget();
    chosen.push({ latent: latentAt(shown.x, i).slice(), label: shown.labels[i] });
    tiles[i].setAttribute("aria-pressed", "true");
    find("way-hint").textContent = chosen.length === 1 ? "Now choose the other end." : "Choose two others to go another way.";
    find("way").hidden = chosen.length < 2;
    if (chosen.length === 2) draw();
  }

  function forget() {
    chosen = [];
    tiles.forEach((tile) => tile.setAttribute("aria-pressed", "false"));
  }

  // What is shown changes: the marks of the chosen images go, the way between them stays.
  function changed() {
    tiles.forEach((tile) => tile.setAttribute("aria-pressed", "false"));
    if (chosen.length === 1) {
      forget();
      find("way-hint").textContent = model.hint;
    }
    for (const input of [truncation, ...sliders]) {
      find(`${input.id}-value`).textContent = Number(input.value).toFixed(input === truncation ? 2 : 1);
    }
    draw();
  }

  // All images that are shown as one picture, with two black pixels between them and around.
  function savePicture() {
    const gap = 2, columns = getComputedStyle(find("samples")).gridTemplateColumns.split(" ").length;
    const rows = Math.ceil(tiles.length / columns), picture = document.createElement("canvas");
    picture.width = columns * (width + gap) + gap;
    picture.height = rows * (height + gap) + gap;
    const context = picture.getContext("2d");
    if (channels !== 4) context.fillRect(0, 0, picture.width, picture.height);
    tiles.forEach((tile, i) => {
      context.drawImage(tile.firstChild, gap + (i % columns) * (width + gap), gap + Math.floor(i / columns) * (height + gap));
    });
    picture.toBlob((blob) => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(blob);
      link.download = `${model.name}-seed-${seed.value.trim()}.png`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    }, "image/png");
  }

  function connect() {
    find("samples").append(...tiles);
    find("way").append(...Array.from({ length: BETWEEN }, canvas));
    for (const input of [seed, truncation, ...sliders]) input.addEventListener("input", changed);
    for (const input of classInputs) input.addEventListener("change", changed);
    find("another").addEventListener("click", () => {
      seed.value = String(crypto.getRandomValues(new Uint32Array(1))[0]);
      changed();
    });
    find("reset").addEventListener("click", () => {
      for (const input of [truncation, ...sliders]) input.value = input.defaultValue;
      changed();
    });
    save.addEventListener("click", savePicture);
  }

  // Until something is drawn: the pictures that were drawn when the page was made, if they are those that are asked for.
  async function showFirst() {
    const gap = 2, first = find("first"), columns = Number(first.dataset.columns);
    await first.decode();
    if (shown !== null || seed.value !== seed.defaultValue) return;
    tiles.forEach((tile, i) => {
      const [x, y] = [i % columns, Math.floor(i / columns)].map((at, axis) => gap + at * ([width, height][axis] + gap));
      tile.firstChild.getContext("2d").drawImage(first, x, y, width, height, 0, 0, width, height);
    });
    document.documentElement.dataset.first = "shown";
  }

  // Without WebGPU: JavaScript draws, or, where it cannot, the page shows what it was made with.
  async function startWithout(reason) {
    find("reason").textContent = reason;
    find("absent").hidden = false;
    try {
      if (find("forward") === null) throw new Error("the generator has operations that JavaScript does not know");
      program = new ForwardProgram(parseProgramFile(await unpacked("program")));
      await program.ready;
    } catch {
      find("explorer").hidden = find("computed").hidden = true;
      find("not-computed").hidden = find("drawn").hidden = false;
      say("");
      return state("absent");
    }
    drawer = "The script that draws";
    connect();
    showFirst();
    return changed();
  }

  // Resolves with the programs of the page once they can be run.
  let begin;
  const begun = new Promise((resolve) => { begin = resolve; });

  async function start() {
    if (find("program") === null) {
      drawer = "The program that draws";
      connect();
      program = new ServedProgram(model.inputs);
      return changed();
    }
    if (!navigator.gpu) {
      return startWithout(isSecureContext ? "This browser has no WebGPU" :
        "Browsers give WebGPU to pages from disk and from https addresses, and this one comes from another");
    }
    const adapter = await navigator.gpu.requestAdapter();
    if (adapter === null) return startWithout("This browser has WebGPU, but finds no graphics adapter for it");
    connect();
    showFirst();
    try {
      const device = await adapter.requestDevice();
      device.lost.then((info) => fail(new Error(info.message || "the device was lost")));
      device.addEventListener("uncapturederror", (event) => { event.preventDefault(); fail(event.error); });
      const runtime = await Runtime.make(device, parseProgramFile(await unpacked("program")));
      program = await runtime.program("generate", (done, all) => say(`Compiling shaders: ${done} of ${all}`));
      changed();
      begin(runtime);
    } catch (error) {
      fail(error);
    }
  }

  start();

  return { model, begun, run, draw, paint, canvas, labelOf, cluster, latentAt, className, fail };
})();
