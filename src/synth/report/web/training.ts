/** Whether the adapter learnt anything: losses, the report card, and what it says before and after. */

import { axis, type Colours, GRID, type Option, picture } from "./charts";
import type { Evaluation, LossPoint, Report } from "./data";
import { type Cell, count, h, section, spoken, table, untrusted } from "./dom";

export function training(report: Report): HTMLElement | null {
  const { losses: points, evaluation } = report;
  if (!points.length && !evaluation) return null;
  return section(
    "training",
    "Training",
    points.length > 0 && h("div", { class: "columns" }, losses(points), ...rates(points)),
    evaluation && card(evaluation),
    evaluation && samples(evaluation),
  );
}

function losses(points: LossPoint[]): HTMLElement {
  const of = (key: "train" | "held_out"): [number, number][] =>
    points.flatMap((p) => (p[key] == null ? [] : [[p.step, p[key]] as [number, number]]));
  return picture({
    title: "Loss",
    note: "Nats per supervised token.",
    option: (c) => lines(c, "nats", { training: of("train"), "held out": of("held_out") }),
    head: ["step", "training", "held out"],
    rows: points.map((p) => [p.step, p.train, p.held_out] as Cell[]),
  });
}

function rates(points: LossPoint[]): HTMLElement[] {
  const named: [string, "learning_rate" | "grad_norm"][] = [
    ["Learning rate", "learning_rate"],
    ["Gradient norm", "grad_norm"],
  ];
  return named.flatMap(([title, key]) => {
    const found = points.flatMap((p) =>
      p[key] == null ? [] : [[p.step, p[key]] as [number, number]],
    );
    if (!found.length) return [];
    return [
      picture({
        title,
        option: (c) => lines(c, "", { [title.toLowerCase()]: found }),
        head: ["step", title.toLowerCase()],
        rows: found,
      }),
    ];
  });
}

function lines(c: Colours, unit: string, series: Record<string, [number, number][]>): Option {
  return {
    grid: GRID,
    legend: {
      type: "scroll",
      top: 0,
      textStyle: { color: c.ink },
      show: Object.keys(series).length > 1,
    },
    tooltip: { trigger: "axis", valueFormatter: (value: number) => value.toPrecision(4) },
    xAxis: axis(c, "step", { type: "value", max: "dataMax" }),
    yAxis: axis(c, unit, { type: "value", scale: true, nameGap: 40 }),
    series: Object.entries(series).map(([name, data]) => ({
      name,
      type: "line",
      data,
      showSymbol: data.length < 30,
      symbolSize: 5,
    })),
  };
}

const SHARES = [
  "retrieval",
  "rouge_l",
  "leak",
  "finished",
  "distinct_trigrams",
  "self_bleu",
  "declined",
  "null_precision",
  "null_recall",
];

/** Self-BLEU is told in percent. */
function share(of: Record<string, number>, name: string): number {
  return (of[name] ?? 0) / (name === "self_bleu" ? 100 : 1);
}

function card(evaluation: Evaluation): HTMLElement {
  const { before, after, reference } = evaluation;
  const names = [...new Set([before, after, reference].flatMap((of) => Object.keys(of)))];
  const rows = names.map((name) => [
    spoken(name),
    before[name] ?? null,
    after[name] ?? null,
    reference[name] ?? null,
  ]);
  const shares = SHARES.filter((name) => name in before && name in after).reverse();
  const checks = Object.entries(evaluation.checks).map(([name, check]) => [
    spoken(name),
    check.value,
    check.at_least === undefined ? `at most ${check.at_most}` : `at least ${check.at_least}`,
    h("span", { class: check.passed ? "passed" : "failed" }, check.passed ? "passed" : "failed"),
  ]);
  return h(
    "div",
    { class: "columns" },
    picture({
      title: "Report card: before against after",
      note: `Shares, on ${count(evaluation.held_out)} held-out pairs; the table has every metric.`,
      height: 90 + 34 * shares.length,
      option: (c) => bars(c, shares, evaluation),
      head: ["metric", "before", "after", "people's own"],
      rows,
    }),
    h(
      "figure",
      {},
      h("figcaption", {}, h("h3", {}, "What a go needs")),
      table(["check", "measured", "bound", "outcome"], checks, "Checks"),
    ),
  );
}

function bars(c: Colours, names: string[], { before, after }: Evaluation): Option {
  return {
    grid: { ...GRID, left: 120 },
    legend: { type: "scroll", top: 0, textStyle: { color: c.ink } },
    tooltip: { trigger: "axis", axisPointer: { type: "shadow" } },
    xAxis: axis(c, "share", { type: "value", max: 1 }),
    yAxis: axis(c, "", { type: "category", data: names.map(spoken) }),
    series: [
      { name: "before", type: "bar", data: names.map((n) => share(before, n)), color: c.muted },
      { name: "after", type: "bar", data: names.map((n) => share(after, n)), color: c.accent },
    ],
  };
}

function samples(evaluation: Evaluation): HTMLElement {
  const rows = evaluation.samples.map((sample) =>
    h(
      "article",
      { class: "sample" },
      untrusted(sample.text, "pre"),
      h(
        "dl",
        {},
        ...(["before", "after", "reference"] as const)
          .filter((key) => sample[key])
          .flatMap((key) => [
            h("dt", {}, key === "reference" ? "people's own" : key),
            h("dd", { class: key }, untrusted(sample[key])),
          ]),
      ),
    ),
  );
  return h(
    "div",
    {},
    h("h3", {}, "What it asks, before and after"),
    h("div", { class: "samples" }, ...rows),
  );
}
