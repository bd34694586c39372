"use strict";
// Interactive plots: density of all events, MRD cells and back-gated cells on top, gate borders. SVG only, no WebGL.
(async () => {
  const report = flowmrd.data("report-data");
  if (!("DecompressionStream" in window)) {
    document.getElementById("backgate-status").textContent =
      "This browser is too old for interactive plots; the pictures and tables hold the same.";
    return;
  }
  const BINS = 128, LOW = -0.05, HIGH = 1.05;
  const STEP = (HIGH - LOW) / BINS;
  const centres = Array.from({ length: BINS }, (_, i) => LOW + (i + 0.5) * STEP);
  // plotly.js reads a few HTML tags in texts; texts from files must stay texts.
  const plain = (text) => String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

  const [eventBytes, gridBytes] = await Promise.all([flowmrd.unpack("report-events"), flowmrd.unpack("report-grids")]);
  const table = report.table;
  const columns = {};
  let offset = 0;
  const take = (Kind) => {
    const column = new Kind(eventBytes, offset, table.rows);
    offset += Math.ceil((table.rows * Kind.BYTES_PER_ELEMENT) / 4) * 4;
    return column;
  };
  const span = table.high - table.low;
  for (const channel of table.channels) {
    columns[channel] = Float32Array.from(take(Uint16Array), (value) => table.low + (value / 65535) * span);
  }
  const gatesLow = take(Uint32Array), gatesHigh = take(Uint32Array), mrd = take(Uint8Array), cluster = take(Int8Array);
  const grids = new Uint32Array(gridBytes);

  const MAX_BACK = 800; // more open circles than this only blot out what lies below
  const thin = (rows, limit = report.max_points) => {
    if (rows.length <= limit) return rows;
    return Array.from({ length: limit }, (_, i) => rows[Math.floor((i * rows.length) / limit)]);
  };
  const where = (test) => {
    const rows = [];
    for (let i = 0; i < table.rows; i++) if (test(i)) rows.push(i);
    return rows;
  };
  const inGate = (bit) => (bit < 32 ? (i) => (gatesLow[i] >>> bit) & 1 : (i) => (gatesHigh[i] >>> (bit - 32)) & 1);
  function chosenRows(choice) {
    const [kind, value] = choice.split(":");
    if (kind === "cluster") return where((i) => cluster[i] === Number(value));
    if (kind === "gate") return where(inGate(Number(value)));
    return where((i) => mrd[i]);
  }
  const mrdRows = thin(where((i) => mrd[i]));
  let backRows = [];

  const config = {
    displaylogo: false, showSendToCloud: false, plotlyServerURL: "", responsive: true, doubleClick: "reset",
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d", "toImage", "sendDataToCloud"],
  };
  const pick = (channel, rows) => rows.map((i) => columns[channel][i]);

  function axis(channel, shown) {
    const facts = report.axes[channel];
    return {
      title: { text: plain(facts.label), font: { size: 12 }, standoff: 6 },
      tickmode: "array", tickvals: facts.at, ticktext: facts.text.map(plain), range: shown ?? [LOW, HIGH], zeroline: false,
      showgrid: false, ticks: "outside", ticklen: 4, tickfont: { size: 11 },
      linecolor: flowmrd.colour("--soft"), tickcolor: flowmrd.colour("--soft"), mirror: true, showline: true,
    };
  }
  function layout(x, y, outlines, title) {
    return {
      margin: { l: 58, r: 12, t: 10, b: 46 }, showlegend: false, hovermode: "closest", dragmode: "zoom",
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: flowmrd.colour("--ink"), family: "system-ui, sans-serif" },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: flowmrd.colour("--soft"), activecolor: flowmrd.colour("--accent") },
      hoverlabel: { font: { size: 12 } },
      xaxis: axis(x), yaxis: axis(y),
      shapes: outlines.map((outline) => ({
        type: "path", layer: "above",
        path: "M" + outline.points.map((point) => point.join(",")).join("L") + (outline.closed ? "Z" : ""),
        line: { color: flowmrd.colour("--gate"), width: 2 },
      })),
      annotations: outlines.filter((outline) => outline.mark).map(({ mark }) => ({
        x: mark.at[0], y: mark.at[1], text: plain(mark.text), showarrow: false, yanchor: "middle",
        xanchor: { start: "left", middle: "center", end: "right" }[mark.anchor],
        font: { size: 12, color: flowmrd.colour("--gate") }, bgcolor: flowmrd.colour("--paper"), borderpad: 0,
      })),
      meta: title,
    };
  }
  const density = () => {
    const steps = flowmrd.isDark()
      ? ["#27384a", "#3d5770", "#5c7f9f", "#88aecb", "#c4ddf0", "#f2f9ff"]
      : ["#cdd6e0", "#a3b6ca", "#7893b0", "#4c6e93", "#264a73", "#0a203e"];
    return steps.map((colour, i) => [i / (steps.length - 1), colour]);
  };
  function points(x, y, rows, kind) {
    const mark = {
      mrd: { color: flowmrd.colour("--mrd"), size: rows.length > 1500 ? 4 : 6, symbol: "diamond", line: { color: flowmrd.colour("--paper"), width: 0.7 } },
      back: { color: "rgba(0,0,0,0)", size: 6, symbol: "circle", line: { color: flowmrd.colour("--back"), width: 1.2 } },
      all: { color: flowmrd.colour("--dens"), size: 3, symbol: "circle", opacity: 0.55 },
    }[kind];
    const name = { mrd: "MRD cell", back: "back-gated cell", all: "event" }[kind];
    return {
      type: "scatter", mode: "markers", name, x: pick(x, rows), y: pick(y, rows), marker: mark,
      hovertemplate: `${name}<extra></extra>`, hoverinfo: kind === "all" ? "skip" : undefined,
    };
  }
  function traces(plot, index) {
    const counts = grids.subarray(index * BINS * BINS, (index + 1) * BINS * BINS);
    const z = [], text = [];
    for (let row = 0; row < BINS; row++) {
      const line = counts.subarray(row * BINS, (row + 1) * BINS);
      z.push(Array.from(line, (n) => (n ? Math.log10(n) : null)));
      text.push(Array.from(line));
    }
    return [
      {
        type: "heatmap", x: centres, y: centres, z, customdata: text, colorscale: density(), showscale: false, zmin: 0,
        hovertemplate: "%{customdata} events here<extra></extra>", hoverongaps: false,
      },
      points(plot.x, plot.y, backRows, "back"),
      points(plot.x, plot.y, mrdRows, "mrd"),
    ];
  }

  const drawn = new Map();
  function draw(node, data, shape) {
    node.classList.add("live");
    let canvas = node.querySelector(".canvas");
    if (!canvas) {
      canvas = document.createElement("div");
      canvas.className = "canvas";
      canvas.tabIndex = 0;
      canvas.setAttribute("role", "group");
      canvas.setAttribute("aria-label", `Interactive plot, ${shape.meta}. Plus and minus zoom, arrows move, zero resets.`);
      canvas.addEventListener("keydown", onKey);
      node.append(canvas);
    }
    return Plotly.react(canvas, data, shape, config);
  }
  // Zooming and moving without a mouse.
  function onKey(event) {
    const canvas = event.currentTarget;
    const [x, y] = [canvas.layout.xaxis.range, canvas.layout.yaxis.range].map((range) => range.map(Number));
    const zoom = (range, factor) => {
      const middle = (range[0] + range[1]) / 2, half = ((range[1] - range[0]) / 2) * factor;
      return [middle - half, middle + half];
    };
    const move = (range, share) => range.map((end) => end + share * (range[1] - range[0]));
    const moves = {
      "+": () => [zoom(x, 0.8), zoom(y, 0.8)], "=": () => [zoom(x, 0.8), zoom(y, 0.8)], "-": () => [zoom(x, 1.25), zoom(y, 1.25)],
      ArrowLeft: () => [move(x, -0.1), y], ArrowRight: () => [move(x, 0.1), y],
      ArrowUp: () => [x, move(y, 0.1)], ArrowDown: () => [x, move(y, -0.1)], 0: () => [[LOW, HIGH], [LOW, HIGH]],
    };
    const next = moves[event.key]?.();
    if (!next) return;
    event.preventDefault();
    Plotly.relayout(canvas, { "xaxis.range": next[0], "yaxis.range": next[1] });
  }

  function drawGate(index) {
    const plot = report.plots[index];
    const node = document.getElementById(plot.id);
    drawn.set(plot.id, index);
    return draw(node, traces(plot, index), layout(plot.x, plot.y, plot.outlines, `${plot.x} against ${plot.y}`));
  }
  function drawFree() {
    const x = document.getElementById("free-x").value, y = document.getElementById("free-y").value;
    const uniform = thin(Array.from({ length: table.uniform }, (_, i) => i));
    drawn.set("free-plot", -1);
    return draw(
      document.getElementById("free-plot"),
      [points(x, y, uniform, "all"), points(x, y, backRows, "back"), points(x, y, mrdRows, "mrd")],
      layout(x, y, [], `${x} against ${y}`),
    );
  }
  const redraw = (id) => (drawn.get(id) === -1 ? drawFree() : drawGate(drawn.get(id)));

  const backgate = document.getElementById("backgate");
  function choose() {
    const rows = chosenRows(backgate.value);
    backRows = backgate.value === "mrd" ? [] : thin(rows, Math.min(MAX_BACK, report.max_points));
    const name = backgate.selectedOptions[0].textContent;
    document.getElementById("backgate-name").textContent = backgate.value === "mrd" ? "back-gated cells (none chosen)" : name;
    if (backgate.value !== "mrd") {
      document.getElementById("backgate-status").textContent =
        `${backRows.length} cells of ${name} shown as open circles in every plot${backRows.length < rows.length ? ", evenly thinned" : ""}.`;
    }
    document.documentElement.dataset.backgated = String(backRows.length);
    for (const id of drawn.keys()) redraw(id);
  }
  backgate.addEventListener("change", choose);
  for (const id of ["free-x", "free-y"]) document.getElementById(id).addEventListener("change", drawFree);
  document.addEventListener("flowmrd:theme", () => drawn.forEach((_, id) => redraw(id)));

  // A plot is drawn when it comes near the window; until then its still picture stands there.
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      watcher.unobserve(entry.target);
      const index = report.plots.findIndex((plot) => plot.id === entry.target.id);
      (index < 0 ? drawFree() : drawGate(index)).catch((error) => console.error(error));
    }
  }, { rootMargin: "400px" });
  for (const plot of report.plots) watcher.observe(document.getElementById(plot.id));
  watcher.observe(document.getElementById("free-plot"));
  document.documentElement.dataset.ready = "true";
})();
