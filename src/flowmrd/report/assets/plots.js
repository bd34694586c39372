"use strict";
// What a reviewer does with the plots: layers, back-gating, zoom that is shared and kept, lasso, free plot, export.
(async () => {
  const report = flowmrd.data("report-data");
  if (!("DecompressionStream" in window)) {
    document.getElementById("plot-status").textContent =
      flowmrd.say("This browser is too old for interactive plots; the pictures and tables hold the same.");
    return;
  }
  const loaded = figures.load(report); // while plotly.js is on its way
  try {
    await flowmrd.plotly;
  } catch (missing) {
    document.getElementById("plot-status").textContent =
      flowmrd.say("Plots cannot be moved here: {file} of results/assets is not where it was when this page was made. The pictures and tables hold the same.", { file: missing.message });
    return;
  }
  await loaded;
  figures.hidden = new Set();
  if (matchMedia("(max-width: 800px)").matches) document.querySelector(".layers").open = false;
  const element = (id) => document.getElementById(id);
  const status = element("plot-status");
  const say = (text) => { status.textContent = text; };
  const MAX_BACK = 800; // more open circles than this only blot out what lies below
  const plain = (text) => String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  // Two significant digits, as in the tables of the page.
  const share = (part) => flowmrd.decimal(part === 0 ? "0" : (100 * part).toFixed(Math.min(7, Math.max(0, 1 - Number((100 * part).toExponential(1).split("e")[1])))));
  const count = (n) => Math.round(n).toLocaleString("en").replaceAll(",", "\u202f");

  const config = {
    displaylogo: false, showSendToCloud: false, plotlyServerURL: "", responsive: true, doubleClick: "reset",
    modeBarButtonsToRemove: ["select2d", "autoScale2d", "sendDataToCloud"],
  };
  const drawn = new Map(); // id of a plot -> ranges that the reviewer chose, per channel they are shared
  const ranges = {}; // channel -> [low, high]
  const full = (channel) => ranges[channel] ?? [figures.LOW, figures.HIGH];

  function figureOf(id) {
    return id === "free-plot" ? freeFigure() : report.figures[id];
  }
  function draw(id) {
    const node = element(id), figure = figureOf(id);
    const { data, layout } = figures.filled(figure);
    const { x, y, title } = figure.layout.meta;
    layout.xaxis.range = [...full(x)];
    layout.yaxis.range = [...full(y)];
    node.classList.add("live");
    let canvas = node.querySelector(".canvas");
    const isNew = !canvas;
    if (isNew) {
      canvas = document.createElement("div");
      canvas.className = "canvas";
      canvas.tabIndex = 0;
      canvas.setAttribute("role", "group");
      canvas.addEventListener("keydown", (event) => onKey(event, id));
      node.append(canvas);
      const reached = document.activeElement === node;
      for (const name of ["tabindex", "role", "aria-label"]) node.removeAttribute(name);
      if (reached) canvas.focus();
    }
    canvas.setAttribute("aria-label", flowmrd.say("Interactive plot, {title}. Plus and minus zoom, arrows move, zero resets.", { title }));
    const image = { format: "png", scale: 2, filename: `${report.sample}.${id}` };
    const done = Plotly.react(canvas, data, layout, { ...config, toImageButtonOptions: image });
    drawn.set(id, canvas);
    if (isNew) {
      canvas.on("plotly_relayout", (change) => follow(id, change));
      canvas.on("plotly_selected", (event) => choose(id, event));
      canvas.on("plotly_deselect", () => select([], ""));
    }
    return done;
  }
  const redraw = () => { for (const id of drawn.keys()) draw(id); };

  // One range a channel: a zoom in one plot is a zoom in its row, and survives a change of layers.
  let following = false;
  function follow(id, change) {
    if (following) return;
    const { x, y } = figureOf(id).layout.meta;
    const canvas = drawn.get(id);
    const keys = Object.keys(change);
    if (!keys.some((key) => key.startsWith("xaxis") || key.startsWith("yaxis"))) return;
    if (keys.some((key) => key.endsWith("autorange"))) setRanges(x, y, null, null);
    else setRanges(x, y, canvas.layout.xaxis.range.map(Number), canvas.layout.yaxis.range.map(Number));
  }
  function setRanges(x, y, across, up) {
    if (across) ranges[x] = across; else delete ranges[x];
    if (up) ranges[y] = up; else delete ranges[y];
    following = true;
    const jobs = [];
    for (const [id, canvas] of drawn) {
      const meta = figureOf(id).layout.meta;
      if (meta.x !== x && meta.y !== y && meta.x !== y && meta.y !== x) continue;
      jobs.push(Plotly.relayout(canvas, { "xaxis.range": [...full(meta.x)], "yaxis.range": [...full(meta.y)] }));
    }
    Promise.all(jobs).finally(() => { following = false; });
  }
  // Zooming and moving without a mouse.
  function onKey(event, id) {
    const { x, y } = figureOf(id).layout.meta;
    const [across, up] = [full(x), full(y)];
    const zoom = (range, factor) => {
      const middle = (range[0] + range[1]) / 2, half = ((range[1] - range[0]) / 2) * factor;
      return [middle - half, middle + half];
    };
    const move = (range, share) => range.map((end) => end + share * (range[1] - range[0]));
    const moves = {
      "+": () => [zoom(across, 0.8), zoom(up, 0.8)], "=": () => [zoom(across, 0.8), zoom(up, 0.8)],
      "-": () => [zoom(across, 1.25), zoom(up, 1.25)],
      ArrowLeft: () => [move(across, -0.1), up], ArrowRight: () => [move(across, 0.1), up],
      ArrowUp: () => [across, move(up, 0.1)], ArrowDown: () => [across, move(up, -0.1)], 0: () => [null, null],
    };
    const next = moves[event.key]?.();
    if (!next) return;
    event.preventDefault();
    setRanges(x, y, next[0], next[1]);
  }

  // Lasso: the polygon counts this tube's cells, in whichever column it was drawn.
  const inside = (polygon, px, py) => {
    let odd = false;
    for (let i = 0, j = polygon.length - 1; i < polygon.length; j = i++) {
      const [ax, ay] = polygon[i], [bx, by] = polygon[j];
      if (ay > py !== by > py && px < ((bx - ax) * (py - ay)) / (by - ay) + ax) odd = !odd;
    }
    return odd;
  };
  let picked = { rows: [], id: "", parent: "" };
  function choose(id, event) {
    const path = event?.lassoPoints ?? (event?.range && {
      x: [event.range.x[0], event.range.x[1], event.range.x[1], event.range.x[0]],
      y: [event.range.y[0], event.range.y[0], event.range.y[1], event.range.y[1]],
    });
    if (!path) return;
    const polygon = path.x.map((x, i) => [Number(x), Number(path.y[i])]);
    const { x, y } = figureOf(id).layout.meta;
    const [across, up] = [figures.columns[x], figures.columns[y]];
    const clipped = (v) => Math.min(Math.max(v, figures.LOW), figures.HIGH);
    // Cells that this plot shows: those of its parent, and those of its layers wherever they lie.
    const gate = figures.inGate(report.table.gates.indexOf(element(id).dataset.parent));
    const layers = figureOf(id).data.map((trace) => trace.meta?.layer).filter((layer) => layer && layer !== "selected" && figures.shown.has(layer));
    const marked = new Set(layers.flatMap((layer) => figures.layers[layer]));
    const rows = figures.where((i) => (gate(i) || marked.has(i)) && inside(polygon, clipped(across[i]), clipped(up[i])));
    select(rows, id, polygon);
  }
  function select(rows, id, polygon) {
    picked = { rows, id };
    figures.layers.selected = figures.thin(rows.filter((i) => i < figures.inFile), MAX_BACK);
    element("save-selection").disabled = rows.length === 0;
    element("clear-selection").disabled = rows.length === 0 && !id;
    element("selection").replaceChildren(...(id ? summary(rows, id, polygon) : []));
    redraw();
  }
  function summary(rows, id, polygon) {
    const { x, y } = figureOf(id).layout.meta;
    const chosen = new Set(rows);
    const parent = element(id).dataset.parent;
    const bit = report.table.gates.indexOf(parent);
    const exact = parent === "b_lineage" && report.table.lineage_complete;
    let events, how;
    if (exact) {
      const gate = figures.inGate(bit);
      events = rows.filter((i) => i < figures.inFile && gate(i)).length;
      how = flowmrd.say("{n} events of {parent} in the selection on {x} and {y}", { n: count(events), parent: element(id).dataset.of, x, y });
    } else {
      events = onGrid(id, polygon);
      how = flowmrd.say("about {n} events of {parent} in the selection on {x} and {y}", { n: count(events), parent: element(id).dataset.of, x, y });
    }
    const line = document.createElement("p");
    const title = document.createElement("strong");
    title.textContent = how;
    const shares = report.totals.filter(([, n]) => n > 0 && n >= events) // more events than cells are no share of them
      .map(([name, n]) => flowmrd.say("{share} % of {cells}", { share: share(events / n), cells: name }));
    line.append(title, `: ${shares.join(", ")}.`);
    const list = document.createElement("ul");
    for (const layer of report.table.layers) {
      const n = figures.layers[layer.id].filter((i) => chosen.has(i)).length;
      if (n === 0 && layer.id !== "mrd") continue;
      const item = document.createElement("li");
      const of = layer.kept < layer.total
        ? flowmrd.say("{shown} shown of {all}", { shown: count(layer.kept), all: count(layer.total) }) : count(layer.total);
      item.textContent = flowmrd.say("{layer}: {n} of {all}", { layer: layer.name, n: count(n), all: of });
      list.append(item);
    }
    return [line, list];
  }
  // Events in a polygon by the counts of this tube's grid: a cell of the grid counts where its middle lies inside.
  function onGrid(id, polygon) {
    const own = id.replace(/-(diagnosis|controls)$/, "-tube");
    const grid = (report.figures[own] ?? report.figures[id])?.data[0]?.meta?.grid;
    if (grid === undefined || !polygon) return picked.rows.length;
    const counts = figures.grids.subarray(grid * figures.BINS ** 2, (grid + 1) * figures.BINS ** 2);
    const step = (figures.HIGH - figures.LOW) / figures.BINS;
    let sum = 0;
    counts.forEach((n, at) => {
      if (n && inside(polygon, figures.LOW + ((at % figures.BINS) + 0.5) * step, figures.LOW + (Math.floor(at / figures.BINS) + 0.5) * step)) sum += n;
    });
    return sum;
  }
  element("clear-selection").addEventListener("click", () => { select([], ""); say(flowmrd.say("Selection cleared.")); });
  element("save-selection").addEventListener("click", () => {
    const channels = report.table.channels;
    const layers = report.table.layers;
    const lines = [["event", ...channels, ...layers.map((layer) => layer.id)].join("\t")];
    for (const i of picked.rows) {
      if (i >= figures.inFile) continue;
      lines.push([
        figures.events[i], ...channels.map((channel) => figures.columns[channel][i].toFixed(4)),
        ...layers.map((_, bit) => (figures.bits[i] >>> bit) & 1),
      ].join("\t"));
    }
    flowmrd.download(`${report.sample}.selection.tsv`, lines.join("\n") + "\n", "text/tab-separated-values");
    say(flowmrd.say("{n} rows saved: event as in events.parquet, values on the 0 to 1 scale.", { n: count(lines.length - 1) }));
  });
  // Plotly puts its own tools on every plot; this switch changes all of them at once.
  for (const field of document.querySelectorAll('[name="tool"]')) {
    field.addEventListener("change", () => {
      figures.dragmode = field.value;
      for (const canvas of drawn.values()) Plotly.relayout(canvas, { dragmode: field.value });
    });
  }

  for (const field of document.querySelectorAll("[data-layer]")) {
    field.addEventListener("change", () => {
      figures.shown[field.checked ? "add" : "delete"](field.dataset.layer);
      redraw();
    });
  }
  for (const field of document.querySelectorAll("[data-role]")) {
    field.addEventListener("change", () => {
      figures.hidden[field.checked ? "delete" : "add"](field.dataset.role);
      redraw();
    });
  }

  const backgate = element("backgate");
  function backGate() {
    const [kind, value] = backgate.value.split(":");
    const name = backgate.selectedOptions[0].textContent;
    let rows = [];
    if (kind === "cluster") rows = figures.layers[backgate.value] ?? [];
    else if (kind === "mrd") rows = figures.layers.mrd;
    else if (kind === "gate") rows = figures.where(figures.inGate(Number(value)));
    else if (kind === "population") {
      const mrd = new Set(figures.layers.mrd), gate = figures.inGate(Number(value));
      rows = figures.where((i) => gate(i) && !mrd.has(i));
    }
    figures.layers.back = figures.thin(rows, Math.min(MAX_BACK, report.max_points));
    const shown = figures.layers.back.length;
    say(kind === "none" ? flowmrd.say("Nothing is back-gated.")
      : shown < rows.length
        ? flowmrd.say("{n} cells of {name} shown as open circles in every plot, evenly thinned.", { n: count(shown), name })
        : flowmrd.say("{n} cells of {name} shown as open circles in every plot.", { n: count(shown), name }));
    document.documentElement.dataset.backgated = String(shown);
    redraw();
  }
  backgate.addEventListener("change", backGate);

  // Free plot: any two channels of any parent, square.
  function freeFigure() {
    const x = element("free-x").value, y = element("free-y").value, parent = Number(element("free-parent").value);
    const axis = (channel, way) => {
      const facts = report.axes[channel][way];
      return {
        title: { text: plain(facts.label), font: { size: 12 }, standoff: 6 }, tickmode: "array", tickvals: facts.at,
        ticktext: facts.text.map(plain), range: [figures.LOW, figures.HIGH], zeroline: false, showgrid: false, ticks: "outside",
        ticklen: 4, tickfont: { size: 11 }, linecolor: "var(--soft)", tickcolor: "var(--soft)", mirror: true, showline: true,
      };
    };
    const model = Object.entries(report.figures).find(([id]) => id.endsWith("-tube"))?.[1] ?? Object.values(report.figures)[0];
    const traces = (model?.data ?? []).filter((trace) => trace.meta?.layer !== undefined).map((trace) => ({
      ...trace, hovertemplate: `${trace.name}<br>${plain(x)} %{customdata[0]}<br>${plain(y)} %{customdata[1]}<br>%{customdata[2]}<extra></extra>`,
    }));
    const gate = figures.inGate(parent);
    const even = Array.from({ length: report.table.uniform }, (_, i) => i).filter(gate);
    // A rare parent has few cells in the even sample: then every cell of it that the page holds is shown.
    figures.layers.all = even.length >= 300 || parent < 0 ? even : figures.where((i) => i < figures.inFile && gate(i));
    figures.shown.add("all");
    const all = {
      type: "scatter", mode: "markers", name: flowmrd.say("event"), x: [], y: [], meta: { layer: "all", role: "all" },
      marker: { color: "var(--dens)", size: 3, opacity: 0.55 },
      hovertemplate: `${flowmrd.say("event")}<br>${plain(x)} %{customdata[0]}<br>${plain(y)} %{customdata[1]}<br>%{customdata[2]}<extra></extra>`,
    };
    return {
      data: [all, ...traces],
      layout: { ...(model ?? { layout: {} }).layout, xaxis: axis(x, "across"), yaxis: axis(y, "upright"), shapes: [], annotations: [], meta: { x, y, title: flowmrd.say("{x} against {y}", { x, y }) } },
    };
  }
  for (const id of ["free-x", "free-y", "free-parent"]) {
    element(id).addEventListener("change", () => {
      const parent = element("free-parent");
      element("free-plot").dataset.parent = report.table.gates[Number(parent.value)] ?? "root";
      element("free-plot").dataset.of = parent.selectedOptions[0].textContent;
      draw("free-plot");
    });
  }

  document.addEventListener("flowmrd:theme", redraw);

  // A plot is drawn when it comes near the window; until then its still picture stands there. Plots are drawn one by
  // one, this tube's before its neighbours', and the window answers in between.
  const waiting = [];
  let drawing = false;
  const next = () => waiting.splice(Math.max(waiting.findIndex((id) => id.endsWith("-tube")), 0), 1)[0];
  async function drawWaiting() {
    if (drawing) return;
    drawing = true;
    while (waiting.length) {
      const id = next();
      if (element(id) && !drawn.has(id)) await Promise.resolve(draw(id)).catch((error) => console.error(error));
      await new Promise((go) => { setTimeout(go); });
    }
    drawing = false;
  }
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      watcher.unobserve(entry.target);
      waiting.push(entry.target.id);
    }
    drawWaiting();
  }, { rootMargin: "300px" });
  for (const node of document.querySelectorAll(".plot")) {
    watcher.observe(node);
    // The keyboard reaches a plot before it is drawn, and draws it.
    node.tabIndex = 0;
    node.setAttribute("role", "group");
    node.setAttribute("aria-label", flowmrd.say("Plot, {title}", { title: figureOf(node.id).layout.meta.title }));
    node.addEventListener("focus", () => { if (!drawn.has(node.id)) draw(node.id); });
  }
  document.documentElement.dataset.ready = "true";
})();
