/** What the data looks like: lengths, scores, words, languages, sources and licences. */

import { axis, type Colours, GRID, picture } from "./charts";
import type { Histogram, Portrait, Report } from "./data";
import { count, h, section, spoken, visible } from "./dom";

export function portrait(report: Report): HTMLElement | null {
  const { portrait: data } = report;
  if (!data) return null;
  return section(
    "data",
    "The data",
    h("div", { class: "columns" }, ...data.histograms.map(histogram), ...words(data)),
    h("div", { class: "columns" }, ...shares(data)),
  );
}

const COLOUR = {
  kept: "kept",
  rejected: "gone",
  pairs: "accent",
  instructions: "accent",
  responses: "gold",
} as const;

function colour(c: Colours, name: string, at: number): string | undefined {
  const known = COLOUR[name as keyof typeof COLOUR];
  return known ? c[known] : c.series[at % c.series.length];
}

const OUTLINE = { type: "line", step: "middle", showSymbol: false, areaStyle: { opacity: 0.12 } };

/** Counts between edges as bars, one series a group, the recipe's limits drawn in. */
export function histogram(data: Histogram): HTMLElement {
  const names = Object.keys(data.counts);
  const spans = data.edges
    .slice(1)
    .map((high, at) => `${count(data.edges[at] ?? 0)} – ${count(high)}`);
  const total = Object.values(data.counts).map((n) => n.reduce((sum, one) => sum + one, 0));
  const share = data.counts.pairs !== undefined;
  const values = (at: number): number[] => {
    const counts = data.counts[names[at] ?? ""] ?? [];
    return share ? counts.map((n) => (100 * n) / Math.max(1, total[at] ?? 1)) : counts;
  };
  return picture({
    title: data.about,
    note: limitsTold(data),
    option: (c) => ({
      grid: GRID,
      legend: { type: "scroll", top: 0, textStyle: { color: c.ink } },
      tooltip: {
        trigger: "axis",
        axisPointer: { type: "shadow" },
        valueFormatter: (value: number) =>
          share ? `${value.toFixed(1)} %` : value.toLocaleString("en"),
      },
      xAxis: axis(c, "", {
        type: "category",
        data: spans,
        axisTick: { show: false },
        axisLabel: {
          color: c.muted,
          hideOverlap: true,
          formatter: (_span: string, at: number) => count(data.edges[at] ?? 0),
        },
      }),
      yAxis: axis(c, share ? "% of each" : "rows", { type: "value", nameGap: 42 }),
      series: names.map((name, at) => ({
        name: spoken(name),
        ...(share ? OUTLINE : { type: "bar", stack: "all", barCategoryGap: "8%" }),
        data: values(at),
        color: colour(c, name, at),
        markLine: at === 0 ? limits(c, data) : undefined,
      })),
    }),
    head: [spoken(data.name), ...names],
    rows: spans.map((span, at) => [span, ...names.map((name) => data.counts[name]?.[at] ?? 0)]),
  });
}

function within(edges: number[]): (limit: { value: number }) => boolean {
  return ({ value }) => value >= (edges[0] ?? 0) && value <= (edges.at(-1) ?? 0);
}

function limitsTold({ edges, limits: all }: Histogram): string | undefined {
  const told = all.map((limit) => {
    const place = within(edges)(limit) ? "dashed" : "outside";
    return `${limit.setting} ${limit.value} (${place})`;
  });
  return told.length ? told.join(", ") : undefined;
}

function limits(c: Colours, { edges, limits: drawn }: Histogram): object | undefined {
  const at = (value: number): number => {
    const place = edges.findIndex((edge) => edge > value);
    return place < 0 ? edges.length - 2 : Math.max(0, place - 1);
  };
  const data = drawn.filter(within(edges)).map(({ value }) => ({ xAxis: at(value) }));
  const label = { show: false };
  return { silent: true, symbol: "none", lineStyle: { color: c.ink, type: "dashed" }, label, data };
}

function words({ verbs }: Portrait): HTMLElement[] {
  if (!verbs.found.length) return [];
  const inner = new Map<string, { name: string; value: number; children: object[] }>();
  for (const [verb, noun, value] of verbs.found) {
    const node = inner.get(verb) ?? { name: verb, value: 0, children: [] };
    node.value += value;
    node.children.push({ name: noun, value });
    inner.set(verb, node);
  }
  return [
    picture({
      title: "What is asked for: verbs and their objects",
      note: `The most frequent, of ${count(verbs.looked_at)} kept instructions looked at.`,
      height: 420,
      option: (c) => ({
        tooltip: { trigger: "item" },
        series: [
          {
            type: "sunburst",
            data: [...inner.values()],
            radius: ["12%", "96%"],
            nodeClick: false,
            label: { color: c.ink, minAngle: 6, fontSize: 11 },
            itemStyle: { borderColor: c.sheet, borderWidth: 1, opacity: 0.75 },
            levels: [{}, { r0: "12%", r: "50%" }, { r0: "50%", r: "96%" }],
          },
        ],
      }),
      head: ["verb", "object", "instructions"],
      rows: verbs.found,
    }),
  ];
}

function shares({ languages, sources, licences }: Portrait): HTMLElement[] {
  const figures: HTMLElement[] = [];
  if (languages.found.length)
    figures.push(
      bars(
        "Languages",
        `Told by script and py3langid of ${count(languages.looked_at)} kept rows.`,
        ["instructions", "responses"],
        languages.found,
      ),
    );
  if (sources.length > 1 || sources[0]?.[0])
    figures.push(
      bars(
        "Sources",
        "Rows by where their document is from.",
        ["kept", "rejected"],
        sources.map(([name, kept, gone]) => [name || "not stated", kept, gone]),
      ),
    );
  if (licences.length)
    figures.push(
      bars(
        "Licences",
        "Rows by the licence that their document states.",
        ["kept", "rejected"],
        licences.map(([name, kept, gone]) => [name || "not stated", kept, gone]),
      ),
    );
  return figures;
}

function bars(
  title: string,
  note: string,
  names: [string, string],
  found: [string, number, number][],
): HTMLElement {
  const rows = found.map(([name, ...n]): [string, number, number] => [visible(name), ...n]);
  const shown = rows.slice(0, 15).reverse();
  return picture({
    title,
    note: rows.length > 15 ? `${note} The 15 most frequent are drawn.` : note,
    height: 100 + 26 * shown.length,
    option: (c) => ({
      grid: { ...GRID, left: 120 },
      legend: { type: "scroll", top: 0, textStyle: { color: c.ink } },
      tooltip: { trigger: "axis", axisPointer: { type: "shadow" } },
      xAxis: axis(c, "rows", { type: "value", minInterval: 1 }),
      yAxis: axis(c, "", {
        type: "category",
        data: shown.map(([name]) => name),
        axisLabel: { color: c.muted, width: 105, overflow: "truncate" },
      }),
      series: names.map((name, at) => ({
        name,
        type: "bar",
        data: shown.map((row) => row[at + 1]),
        color: colour(c, name, at),
      })),
    }),
    head: ["", ...names],
    rows,
  });
}
