"use strict";
// Figures and cells of a sample's page. A figure is plotly's own JSON, made by report/charts/plotly.py: its cells come
// from the one table of the page, its counts from the one block of grids, its colours from the theme. SVG only.
const figures = {
  BINS: 128, LOW: -0.05, HIGH: 1.05, MISSING: 65535, NOT_IN_FILE: 0xffffffff,

  async load(report) {
    const [eventBytes, gridBytes, figureBytes] = await Promise.all(["report-events", "report-grids", "report-figures"].map((id) => flowmrd.unpack(id)));
    report.figures = JSON.parse(new TextDecoder().decode(figureBytes));
    const table = report.table;
    let offset = 0;
    const take = (Kind) => {
      const column = new Kind(eventBytes, offset, table.rows);
      offset += Math.ceil((table.rows * Kind.BYTES_PER_ELEMENT) / 4) * 4;
      return column;
    };
    const span = table.high - table.low;
    this.columns = {};
    for (const channel of table.channels) {
      this.columns[channel] = Float32Array.from(take(Uint16Array), (v) => (v === this.MISSING ? NaN : table.low + (v / 65534) * span));
    }
    this.gates = [take(Uint32Array), take(Uint32Array)];
    this.bits = take(Uint32Array);
    this.events = take(Uint32Array);
    for (const { name, channels, weights, offset: start } of table.derived) {
      this.columns[name] = Float32Array.from({ length: table.rows }, (_, i) =>
        channels.reduce((sum, channel, k) => sum + weights[k] * this.columns[channel][i], start));
    }
    this.grids = new Uint32Array(gridBytes);
    this.report = report;
    this.table = table;
    this.inFile = table.rows - table.spiked;
    this.layers = Object.fromEntries(table.layers.map((layer, bit) => [layer.id, this.where((i) => (this.bits[i] >>> bit) & 1)]));
    this.layers.back = [];
    this.layers.selected = [];
    this.shown = new Set(table.layers.filter((layer) => layer.shown).map((layer) => layer.id).concat(["back", "selected"]));
  },
  where(test) {
    const rows = [];
    for (let i = 0; i < this.table.rows; i++) if (test(i)) rows.push(i);
    return rows;
  },
  inGate(index) {
    if (index < 0) return (i) => i < this.inFile;
    const [bits, place] = index < 32 ? [this.gates[0], index] : [this.gates[1], index - 32];
    return (i) => (bits[i] >>> place) & 1;
  },
  thin(rows, limit = this.report.max_points) {
    if (rows.length <= limit) return rows;
    return Array.from({ length: limit }, (_, i) => rows[Math.floor((i * rows.length) / limit)]);
  },
  // A value of the 0..1 scale in raw units, between the places along the axis that the page knows.
  raw(channel, value) {
    const known = this.report.axes[channel]?.raw;
    if (!known || Number.isNaN(value)) return known ? flowmrd.say("not measured") : flowmrd.decimal(value.toFixed(3));
    const at = Math.min(Math.max(((value - this.LOW) / (this.HIGH - this.LOW)) * (known.length - 1), 0), known.length - 1);
    const left = Math.floor(at), right = Math.min(left + 1, known.length - 1);
    const found = known[left] + (at - left) * (known[right] - known[left]);
    return Math.abs(found) >= 100 ? String(Math.round(found)) : flowmrd.decimal(found.toPrecision(3));
  },
  // Colours of the theme in the place of var(--name).
  themed(value) {
    if (Array.isArray(value)) return value.length && typeof value[0] === "number" ? value : value.map((inner) => this.themed(inner));
    if (value !== null && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, this.themed(inner)]));
    }
    const name = typeof value === "string" && /^var\((--[\w-]+)\)$/.exec(value);
    return name ? flowmrd.colour(name[1]) : value;
  },
  scale() {
    const steps = flowmrd.isDark()
      ? ["#27384a", "#3d5770", "#5c7f9f", "#88aecb", "#c4ddf0", "#f2f9ff"]
      : ["#cdd6e0", "#a3b6ca", "#7893b0", "#4c6e93", "#264a73", "#0a203e"];
    return steps.map((colour, i) => [i / (steps.length - 1), colour]);
  },
  // A trace of cells on two channels.
  cells(trace, x, y, rows) {
    const [across, up] = [this.columns[x], this.columns[y]];
    trace.x = rows.map((i) => across[i]);
    trace.y = rows.map((i) => up[i]);
    trace.customdata = rows.map((i) => [
      this.raw(x, across[i]), this.raw(y, up[i]), this.events[i] === this.NOT_IN_FILE ? flowmrd.say("not in the file") : flowmrd.say("event {n}", { n: this.events[i] }),
    ]);
    return trace;
  },
  // Data and layout of a figure as Plotly draws them.
  filled(figure) {
    const { x, y } = figure.layout.meta;
    const data = figure.data.map((trace) => {
      const { grid, layer } = trace.meta ?? {};
      if (layer !== undefined) {
        const rows = this.shown.has(layer) ? this.thin(this.layers[layer]) : [];
        return this.cells(this.themed({ ...trace, x: [], y: [] }), x, y, rows);
      }
      if (grid === undefined) return this.themed(trace);
      const counts = this.grids.subarray(grid * this.BINS * this.BINS, (grid + 1) * this.BINS * this.BINS);
      const z = [], customdata = [];
      for (let row = 0; row < this.BINS; row++) {
        const line = counts.subarray(row * this.BINS, (row + 1) * this.BINS);
        z.push(Array.from(line, (n) => (n ? Math.log10(n) : null)));
        customdata.push(Array.from(line));
      }
      return { ...trace, z, customdata, colorscale: this.scale() };
    });
    // Roles of the theme that are switched off as a whole: outlines of the normal stages and of the diagnosis.
    for (const trace of data) if (this.hidden?.has(trace.meta?.role) && trace.mode === "lines") trace.visible = false;
    const layout = this.themed(structuredClone(figure.layout));
    layout.dragmode = this.dragmode ?? "zoom";
    if (this.hidden?.has("normal")) layout.annotations = [];
    return { data, layout };
  },
};
