/** What a glance has to tell: what became of the corpus, and whether the adapter is good. */

import type { Report } from "./data";
import { count, h, percent, section, spoken, table } from "./dom";

export function headline(report: Report): HTMLElement {
  return h(
    "header",
    { id: "top" },
    h("p", { class: "kicker" }, `synth ${report.synth} · report`),
    h("h1", {}, report.name),
    h("p", { class: "lead" }, report.about),
    h("p", { class: "note made-by" }, madeBy(report)),
    report.changed && h("p", { class: "notice" }, report.changed),
    h("div", { class: "tiles" }, ...tiles(report), verdict(report)),
  );
}

/** Model, recipe and versions, in a line. */
function madeBy({ base, engine, name, synth, versions }: Report): string {
  const packages = Object.entries(versions).filter(([what]) => what !== "synth");
  const used = packages.map(([what, version]) => `${what} ${version}`);
  return [`base ${base}`, `engine ${engine}`, `recipe ${name}`, `synth ${synth}`, ...used].join(
    " · ",
  );
}

function tiles(report: Report): HTMLElement[] {
  const { ledger, made } = report;
  if (!ledger)
    return made
      ? [
          tile("documents", made.documents, "read"),
          tile("segments", made.segments, "cut from them"),
          tile("candidates", made.candidates, `by ${report.engine}; not sorted yet`),
        ]
      : [];
  const sum = (holds: (bucket: string) => boolean): number =>
    Object.entries(ledger.buckets)
      .filter(([name]) => holds(name))
      .reduce((all, [, n]) => all + n, 0);
  const skipped = sum((name) => name.startsWith("segment_"));
  const failed = sum((name) => name === "engine_error");
  const declined = sum((name) => name === "declined");
  const without = [
    declined && `${count(declined)} declined`,
    failed && `${count(failed)} failed in the engine`,
  ].filter(Boolean);
  const kept = ledger.buckets.kept ?? 0;
  return [
    tile("documents", ledger.documents, losses(ledger)),
    tile("segments", ledger.segments, `${count(skipped)} not worth a candidate`),
    tile(
      "with an instruction",
      ledger.segments - skipped - failed - declined,
      [`by ${report.engine}`, ...without].join("; "),
    ),
    tile("kept", kept, `${percent(kept, ledger.segments)} of the segments`),
  ];
}

function losses(ledger: NonNullable<Report["ledger"]>): string {
  const lost: [number, string][] = [
    [ledger.bad_lines, "bad lines"],
    [ledger.repeated_documents, "repeated"],
    [ledger.empty_documents, "empty"],
  ];
  const told = lost.filter(([n]) => n).map(([n, what]) => `${count(n)} ${what}`);
  return told.length ? told.join(", ") : "none lost";
}

function tile(name: string, value: number, note: string): HTMLElement {
  return h(
    "div",
    { class: "tile" },
    h("span", { class: "tile-name" }, name),
    h("strong", {}, count(value)),
    h("span", { class: "note" }, note),
  );
}

function verdict({ evaluation }: Report): HTMLElement {
  if (!evaluation)
    return h(
      "div",
      { class: "tile verdict" },
      h("span", { class: "tile-name" }, "adapter"),
      h("strong", {}, "not measured"),
      h("span", { class: "note" }, "synth evaluate says go or no-go"),
    );
  const failed = Object.entries(evaluation.checks).filter(([, check]) => !check.passed);
  const { go } = evaluation;
  return h(
    "div",
    { class: `tile verdict ${go ? "go" : "no-go"}` },
    h("span", { class: "tile-name" }, "adapter"),
    h("strong", {}, go ? "go" : "no-go"),
    h(
      "span",
      { class: "note" },
      failed.length
        ? `failed: ${failed.map(([name]) => spoken(name)).join(", ")}`
        : `all ${Object.keys(evaluation.checks).length} checks passed`,
    ),
  );
}

/** How the run was made: enough to make it again. */
export function making(report: Report): HTMLElement {
  const stages = report.stages.map(({ stage, finished, seconds }) => [
    stage,
    finished.replace("T", " ").replace("Z", " UTC"),
    seconds,
  ]);
  return section(
    "making",
    "How it was made",
    h("p", {}, "Base model ", h("code", {}, report.base), `, engine ${report.engine}.`),
    h(
      "div",
      { class: "columns" },
      table(["stage", "finished", "seconds"], stages, "Stages"),
      table(["package", "version"], Object.entries(report.versions), "Versions"),
    ),
    h(
      "details",
      {},
      h("summary", {}, "The recipe, every default written out"),
      h("pre", { tabindex: 0 }, report.recipe),
    ),
  );
}
