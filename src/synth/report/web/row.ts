/** One row as a whole: its text in its document, where it came from, and what became of it. */

import type { Mark, Report, Row } from "./data";
import { count, h, short, spoken, untrusted } from "./dom";

/** A row as a whole. */
export function opened(row: Row, report: Report): HTMLElement {
  const other = row.collided_with ? report.others[row.collided_with] : undefined;
  const shown = [...row.text].length; // characters, as Python counts them
  const clipped = row.clipped > shown;
  return h(
    "article",
    {},
    h("h3", {}, row.instruction === null ? "(no instruction)" : untrusted(row.instruction)),
    h(
      "p",
      { class: "note" },
      h("span", { class: row.reason === "kept" ? "badge kept" : "badge gone" }, spoken(row.reason)),
      row.value !== null && " ",
      row.value !== null && untrusted(short(row.value, 200)),
    ),
    h(
      "p",
      { class: "note" },
      `Segment ${count(row.part)} of ${count(row.parts)}, characters ${count(row.start)} to` +
        ` ${count(row.end)}, of document `,
      untrusted(row.document_id),
    ),
    span(row),
    row.before && h("p", { class: "around" }, "… ", untrusted(row.before)),
    untrusted(row.text, "pre"),
    row.after && h("p", { class: "around" }, untrusted(row.after), " …"),
    clipped &&
      h("p", { class: "note" }, `The first ${count(shown)} of ${count(row.clipped)} characters.`),
    other &&
      h(
        "div",
        { class: "other" },
        h("h4", {}, "The row that stayed instead"),
        h("p", {}, untrusted(other.instruction ?? "(no instruction)")),
        untrusted(other.text, "pre"),
        h("p", { class: "note" }, "Document ", untrusted(other.document_id)),
      ),
    facts(row, report),
  );
}

/** Where the text stands in its document, as a bar. */
function span({ start, end, document_end: all }: Row): HTMLElement {
  const part = h("div");
  part.style.left = `${(100 * start) / Math.max(1, all)}%`;
  part.style.width = `${(100 * (end - start)) / Math.max(1, all)}%`;
  return h("div", { class: "span", "aria-hidden": "true" }, part);
}

function facts(row: Row, report: Report): HTMLElement {
  const of = ({ candidate }: Mark): boolean => candidate === row.candidate;
  const told: [string, string | null][] = [
    ["log-probability", row.logprob?.toFixed(4) ?? null],
    ["r-IFD", row.r_ifd?.toFixed(4) ?? null],
    ["IFD", row.ifd?.toFixed(4) ?? null],
    ["tokens", row.tokens === null ? null : String(row.tokens)],
    ["finish", row.finish],
    ["masked", row.masked],
    ["evidence", row.evidence],
    ["collided with", row.collided_with],
    ["segment", row.segment_id],
    // Where rows are marked, their marks of now stand above.
    ["read by people", report.review ? null : (report.marks.find(of)?.verdict ?? null)],
    ["sample", row.instruction === null ? null : String(row.sample)],
    ...Object.entries(row.metadata).map(([key, value]): [string, string] => [key, String(value)]),
  ];
  const provenance = report.provenance[row.provenance];
  return h(
    "div",
    {},
    h(
      "dl",
      { class: "facts" },
      ...told
        .filter(([, value]) => value !== null && value !== "")
        .flatMap(([name, value]) => [
          h("dt", {}, untrusted(name)),
          h("dd", {}, untrusted(value ?? "")),
        ]),
    ),
    provenance &&
      h(
        "details",
        {},
        h("summary", {}, "Provenance"),
        untrusted(JSON.stringify(provenance, null, 2), "pre"),
      ),
  );
}
