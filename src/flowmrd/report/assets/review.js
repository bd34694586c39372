"use strict";
// The reviewer's decision becomes a file; no server is involved.
{
  const report = flowmrd.data("report-data");
  const form = document.getElementById("review-form");
  const status = document.getElementById("review-status");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const fields = new FormData(form);
    const decision = fields.get("decision");
    const comment = (fields.get("comment") ?? "").trim();
    const name = (fields.get("name") ?? "").trim();
    const missing = [];
    if (!decision) missing.push(flowmrd.say("a decision"));
    if (!name) missing.push(flowmrd.say("your printed name"));
    const open = [...form.querySelectorAll('[name="point"]:not(:checked)')].length;
    if (decision === "accept" && open) missing.push(open > 1 ? flowmrd.say("{n} points of the checklist", { n: open }) : flowmrd.say("1 point of the checklist"));
    if ((decision === "reject" || decision === "comment") && !comment) missing.push(flowmrd.say("a comment"));
    if (missing.length) {
      status.textContent = flowmrd.say("Not saved. Still needed: {missing}.", { missing: missing.join(", ") });
      return;
    }
    const review = {
      format: "flowmrd-review/1",
      sample: report.sample,
      mrd_sha256: report.mrd_sha256,
      decision,
      comment,
      name,
      meaning: fields.get("meaning"),
      signed_at: new Date().toISOString(),
    };
    const points = fields.getAll("point");
    if (points.length) review.checklist = points;
    const groups = [...form.querySelectorAll("[data-group]")].filter((field) => field.value)
      .map((field) => ({ group: Number(field.dataset.group), call: field.value }));
    if (groups.length) review.groups = groups;
    const file = `${report.sample}.${report.mrd_sha256.slice(0, 12)}.review.json`;
    flowmrd.download(file, JSON.stringify(review, null, 2) + "\n", "application/json");
    const counted = !groups.length ? "" : decision === "accept"
      ? flowmrd.say("The tube is then counted again with your calls.")
      : flowmrd.say("Calls of groups are kept, and counted only with an acceptance.");
    status.textContent = `${flowmrd.say("Saved as {file} in your downloads. Import it with: flowmrd review import RUN {file} .", { file })} ${counted}`.trim();
  });

  // The figures of this page, as data.
  const table = (value, path, lines) => {
    if (value !== null && typeof value === "object") {
      for (const [key, inner] of Object.entries(value)) table(inner, path ? `${path}.${key}` : key, lines);
    } else {
      lines.push(`${path}\t${String(value ?? "").replace(/[\t\r\n]+/g, " ")}`);
    }
    return lines;
  };
  document.addEventListener("click", (event) => {
    const action = event.target.closest("[data-action]")?.dataset.action;
    if (action === "save-json") flowmrd.download(`${report.sample}.report.json`, JSON.stringify(report.numbers, null, 2) + "\n", "application/json");
    if (action === "save-tsv") flowmrd.download(`${report.sample}.report.tsv`, ["figure\tvalue", ...table(report.numbers, "", [])].join("\n") + "\n", "text/tab-separated-values");
  });

  // Paper: patient, sample, sheet n of N and the day of issue on every sheet.
  const words = (text) => `"${String(text).replace(/[^\p{L}\p{N} .,:_+-]/gu, " ").slice(0, 90)}"`;
  const sheet = document.createElement("style");
  document.head.append(sheet);
  const margins = () => {
    const now = new Date();
    const day = `${now.getFullYear()}-${String(now.getMonth() + 1).padStart(2, "0")}-${String(now.getDate()).padStart(2, "0")}`;
    // "Page {n} of {all}" in three pieces: the numbers are counters of the printer.
    const [page, of, end] = flowmrd.say("Page {n} of {all}", { n: "\n", all: "\n" }).split("\n");
    const font = "font: 7pt sans-serif; color: #3c4650;";
    sheet.textContent = `@page { @top-left { content: ${words(flowmrd.say("Patient {patient}, sample {sample}", report))}; ${font} }
      @top-right { content: ${words(flowmrd.say("flowmrd {version}, result {digest}", { version: report.version, digest: report.mrd_sha256.slice(0, 12) }))}; ${font} }
      @bottom-left { content: ${words(flowmrd.say("Issued {day}, research use only", { day }))}; ${font} }
      @bottom-right { content: ${words(page)} counter(page) ${words(of)} counter(pages) ${words(end)}; ${font} } }`;
  };
  margins();
  addEventListener("beforeprint", margins);
}
