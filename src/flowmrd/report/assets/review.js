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
    if (!decision) missing.push("a decision");
    if (!name) missing.push("your printed name");
    const open = [...form.querySelectorAll('[name="point"]:not(:checked)')].length;
    if (decision === "accept" && open) missing.push(`${open} point${open > 1 ? "s" : ""} of the checklist`);
    if ((decision === "reject" || decision === "comment") && !comment) missing.push("a comment");
    if (missing.length) {
      status.textContent = `Not saved. Still needed: ${missing.join(", ")}.`;
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
    status.textContent = `Saved as ${file} in your downloads. Import it with: flowmrd review import`;
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
    const font = "font: 7pt sans-serif; color: #3c4650;";
    sheet.textContent = `@page { @top-left { content: ${words(`Patient ${report.patient}, sample ${report.sample}`)}; ${font} }
      @top-right { content: ${words(`flowmrd ${report.version}, result ${report.mrd_sha256.slice(0, 12)}`)}; ${font} }
      @bottom-left { content: ${words(`Issued ${day}, research use only`)}; ${font} }
      @bottom-right { content: "Page " counter(page) " of " counter(pages); ${font} } }`;
  };
  margins();
  addEventListener("beforeprint", margins);
}
