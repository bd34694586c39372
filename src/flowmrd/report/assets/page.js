"use strict";
// Shared by every page: theme, embedded data, downloads, sortable and filterable tables.
const flowmrd = {
  plotly: Promise.resolve(), // of a page with plots: when plotly.js can be used
  data(id) {
    return JSON.parse(document.getElementById(id).textContent);
  },
  async unpack(id) {
    const text = atob(document.getElementById(id).textContent.trim());
    const packed = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) packed[i] = text.charCodeAt(i);
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).arrayBuffer();
  },
  // A sentence in the language of the page; {name} stands for a value.
  say(english, values = {}) {
    this.words ??= document.getElementById("words") ? this.data("words") : {};
    const said = (this.words[english] ?? english).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
    return said.replace(/(\d) %/g, "$1\u00a0%"); // as on the rest of the page
  },
  // A number as the language of the page writes it.
  decimal(text) {
    return document.documentElement.lang === "de" ? String(text).replace(".", ",") : String(text);
  },
  // A file for the user to keep. Nothing leaves the machine.
  download(name, text, type) {
    const url = URL.createObjectURL(new Blob([text], { type }));
    const link = document.createElement("a");
    link.href = url;
    link.download = name;
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  },
  colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  },
  isDark() {
    const chosen = document.documentElement.dataset.theme;
    return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  },
};

document.addEventListener("click", (event) => {
  const button = event.target.closest('[data-action="theme"]');
  if (!button) return;
  document.documentElement.dataset.theme = flowmrd.isDark() ? "light" : "dark";
  document.dispatchEvent(new CustomEvent("flowmrd:theme"));
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  document.dispatchEvent(new CustomEvent("flowmrd:theme"));
});

// <table data-sortable>: a click on a heading sorts; cells may carry data-sort with the value to sort by.
for (const table of document.querySelectorAll("table[data-sortable]")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    if (head.dataset.nosort !== undefined) return;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.textContent = "";
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = (row) => row.cells[column].dataset.sort ?? row.cells[column].textContent.trim();
      const rows = [...body.rows].map((row) => [key(row), row]);
      const missing = (value) => value === "" || value === "–";
      rows.sort(([a], [b]) => {
        if (missing(a) || missing(b)) return missing(a) - missing(b);
        const x = Number(a), y = Number(b);
        const order = Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b, "en", { numeric: true }) : x - y;
        return down ? -order : order;
      });
      body.append(...rows.map(([, row]) => row));
    });
  });
}

// <input data-filter="table-id"> and <select data-filter="table-id" data-attribute="verdict">: rows must match them all.
const filters = [...document.querySelectorAll("[data-filter]")];
const plain = (text) => text.toLowerCase().replace(/\s/g, " "); // no-break spaces are found by a space
function applyFilters(id) {
  const table = document.getElementById(id);
  const mine = filters.filter((field) => field.dataset.filter === id && field.value !== "");
  let shown = 0;
  for (const row of table.tBodies[0].rows) {
    const fits = mine.every((field) => {
      const wanted = plain(field.value);
      if (field.dataset.attribute) return (row.dataset[field.dataset.attribute] ?? "").toLowerCase().split(" ").includes(wanted);
      return plain(row.textContent).includes(wanted);
    });
    row.hidden = !fits;
    shown += fits;
  }
  const status = document.querySelector(`[data-filter-status="${id}"]`);
  if (status) status.textContent = flowmrd.say("{n} of {all} shown", { n: shown, all: table.tBodies[0].rows.length });
}
for (const field of filters) field.addEventListener("input", () => applyFilters(field.dataset.filter));
for (const id of new Set(filters.map((field) => field.dataset.filter))) applyFilters(id);

// A menu that is open closes when its entry is chosen or something else is clicked.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.contents[open]")) {
    if (event.target.closest("summary")?.parentElement !== menu) menu.open = false;
  }
});
