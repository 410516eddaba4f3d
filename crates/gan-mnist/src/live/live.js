// The page of a run that goes on: shows what comes by the stream of events.
"use strict";

(() => {
  const find = (id) => document.getElementById(id);
  const setText = (element, text) => { if (element.textContent !== text) element.textContent = text; };
  const setState = (name) => { document.documentElement.dataset.state = name; };
  const title = document.title;

  // ---- Figures and what happened.

  const tiles = new Map();

  function showFigures(figures) {
    for (const [name, value] of figures) {
      if (!tiles.has(name)) {
        const tile = document.createElement("div");
        tile.append(document.createElement("dt"), document.createElement("dd"));
        tile.firstChild.textContent = name;
        find("figures").append(tile);
        tiles.set(name, tile);
      }
      setText(tiles.get(name).lastChild, value);
    }
    const names = new Set(figures.map(([name]) => name));
    for (const [name, tile] of tiles) tile.hidden = !names.has(name);
  }

  function showEvents(lines) {
    const list = find("events").querySelector("ul");
    find("events").hidden = lines.length === 0;
    if ([...list.children].map((item) => item.textContent).join("\n") === lines.join("\n")) return;
    list.replaceChildren(...lines.map((line) => {
      const item = document.createElement("li");
      item.textContent = line;
      return item;
    }));
  }

  // ---- Charts: each keeps its place and its focus, and what is drawn in it changes.

  const charts = new Map();
  const stays = (element) => element.matches(".cursor, .tip");

  function showCharts(list) {
    let before = null;
    for (const { title, html, hover } of list) {
      const made = document.createElement("template");
      made.innerHTML = html;
      const section = made.content.firstElementChild, plot = section.querySelector(".plot");
      const known = charts.get(title);
      if (known === undefined) {
        if (before === null) find("charts").prepend(section); else before.after(section);
        charts.set(title, { section, change: connectChart(plot, hover) });
        before = section;
        continue;
      }
      const shown = known.section.querySelector(".plot");
      known.section.querySelector(".legend").replaceWith(section.querySelector(".legend"));
      [...shown.children].filter((element) => !stays(element)).forEach((element) => element.remove());
      shown.prepend(...[...plot.children].filter((element) => !stays(element)));
      known.change(hover);
      before = known.section;
    }
    const titles = new Set(list.map((chart) => chart.title));
    for (const [title, { section }] of charts) {
      if (titles.has(title)) continue;
      section.remove();
      charts.delete(title);
    }
    find("curves").hidden = list.length === 0;
  }

  // ---- Sample grids: the newest, unless an older one is looked at.

  const frames = new Map();
  const time = find("time"), play = find("play"), samples = find("samples").querySelector("img");
  let steps = [], newest = true, timer = null;

  function showFrame() {
    const step = steps[Number(time.value)];
    if (step === undefined) return;
    if (samples.getAttribute("src") !== frames.get(step)) samples.src = frames.get(step);
    samples.hidden = false;
    setText(find("sampled"), `step ${step}`);
    time.setAttribute("aria-valuetext", `step ${step}`);
  }

  function keepFrames(known) {
    const looked = steps[Number(time.value)];
    for (const step of frames.keys()) if (!known.includes(step)) frames.delete(step);
    steps = known.filter((step) => frames.has(step));
    time.max = String(Math.max(0, steps.length - 1));
    // The nearest grid, where the one that is looked at is gone.
    const later = steps.findIndex((step) => step >= looked);
    time.value = newest || later < 0 ? time.max : String(later);
    find("slider").hidden = steps.length < 2;
    if (steps.length === 0) {
      samples.hidden = true;
      setText(find("sampled"), "No samples yet.");
    }
    showFrame();
  }

  function pause() {
    clearInterval(timer);
    timer = null;
    play.textContent = "Play";
  }

  function look() {
    newest = time.value === time.max;
    showFrame();
  }

  time.addEventListener("input", () => { pause(); look(); });
  play.addEventListener("click", () => {
    if (timer !== null) return pause();
    if (time.value === time.max) time.value = "0";
    look();
    play.textContent = "Pause";
    timer = setInterval(() => {
      time.value = String(Number(time.value) + 1);
      look();
      if (newest) pause();
    }, 400);
  });

  // ---- What can be asked for.

  const checkpoint = find("checkpoint"), stop = find("stop"), said = find("said");
  let training = false, asked = false, stopping = false, saved = null;

  function enable() {
    if (stop === null) return;
    stop.disabled = !training || stopping;
    checkpoint.disabled = !training || stopping || asked;
  }

  // Asks the run for something; false if it was refused.
  async function ask(path, answer) {
    enable();
    try {
      const reply = await fetch(path, { method: "POST" });
      setText(said, reply.ok ? answer : await reply.text());
      return reply.ok;
    } catch {
      setText(said, "The program does not answer.");
      return false;
    }
  }

  checkpoint?.addEventListener("click", async () => {
    asked = true;
    if (!await ask("checkpoint", "A checkpoint comes after this step.")) asked = false;
    enable();
  });
  stop?.addEventListener("click", async () => {
    stopping = true;
    stopping = await ask("stop", "The run ends and is saved after this step.");
    enable();
  });

  function showControls(state) {
    training = state.phase === "training";
    if (asked && state.saved !== saved) {
      asked = false;
      setText(said, `A checkpoint was saved after step ${state.saved}.`);
    }
    if (!training && said !== null) setText(said, "");
    saved = state.saved;
    enable();
  }

  // ---- The stream.

  const source = new EventSource("events");
  let evaluations = "";

  source.addEventListener("grid", (event) => {
    const { step, image } = JSON.parse(event.data);
    frames.set(step, image);
  });
  source.addEventListener("real", (event) => {
    find("real").querySelector("img").src = JSON.parse(event.data).image;
    find("real").hidden = false;
  });
  source.addEventListener("state", (event) => {
    const state = JSON.parse(event.data), { report } = state;
    setState(state.phase);
    setText(find("status"), state.status || "Training.");
    const pace = [["speed", state.speed], ["time left", state.left]].filter(([, value]) => value !== null);
    showFigures([...pace, ...report.figures]);
    showEvents(report.events);
    showCharts(report.charts);
    keepFrames(state.grids);
    showControls(state);
    if (report.evaluations !== evaluations) find("evaluations").innerHTML = evaluations = report.evaluations;
    const share = state.steps === null ? null : state.step / state.steps;
    find("progress").hidden = share === null;
    if (share !== null) find("progress").value = Math.min(1, share);
    setText(find("place"), share === null ? `step ${state.step}` : `step ${state.step} of ${state.steps}`);
    document.title = share === null ? title : `${Math.floor(100 * share)} % of ${title}`;
    if (state.phase === "ended") source.close();
  });
  source.addEventListener("error", () => {
    setState("lost");
    setText(find("status"), "The program does not answer any more: it was ended, or is about to answer again.");
  });
})();
