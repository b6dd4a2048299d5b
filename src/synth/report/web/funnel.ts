/** The account as a picture: every segment in one bucket, each bucket a link to its rows. */

import { type Colours, type Option, picture } from "./charts";
import type { Report } from "./data";
import { type Cell, h, percent, section, spoken } from "./dom";

const FAMILIES: [name: string, holds: (reason: string) => boolean][] = [
  ["skipped", (reason) => reason.startsWith("segment_")],
  ["duplicates", (reason) => /^(same|near|semantic)_(text|instruction|both)$/.test(reason)],
  ["benchmarks", (reason) => reason === "contaminated"],
  ["private data", (reason) => reason === "private"],
  ["read by people", (reason) => reason === "reviewed"],
  [
    "not selected",
    (reason) =>
      ["document_cap", "template_cap", "quota", "too_similar", "not_selected"].includes(reason),
  ],
  ["rules", () => true],
];

// A bucket may have the name of a kind, or this one; buckets begin with no space.
const ROOT = " segments";

export function family(reason: string): string {
  return FAMILIES.find(([, holds]) => holds(reason))?.[0] ?? "rules";
}

export function funnel(
  report: Report,
  show: (reason: string) => void,
  address: (reason: string) => string,
): HTMLElement | null {
  const { ledger } = report;
  if (!ledger) return null;
  const buckets = Object.entries(ledger.buckets).filter(([, n]) => n > 0);
  const link = (reason: string): Node =>
    h("a", { href: address(reason), onclick: () => show(reason) }, spoken(reason));
  const rows: Cell[][] = buckets.map(([reason, n]) => [
    link(reason),
    n,
    percent(n, ledger.segments),
    reason === "kept" ? "" : family(reason),
  ]);
  rows.push(["all segments", ledger.segments, "100.0 %", ""]);
  const figure = picture({
    title: "Where every segment went",
    note: "Each segment ends in exactly one bucket. Choose a bucket to see its rows.",
    height: Math.max(300, 60 + 38 * buckets.length),
    option: (c) => sankey(c, buckets),
    head: ["bucket", "segments", "share", "kind"],
    rows,
    onclick: (name) => {
      if (name in ledger.buckets) show(name);
    },
  });
  figure.querySelector("details")?.setAttribute("open", "");
  return section("funnel", "From documents to rows", figure);
}

function sankey(c: Colours, buckets: [string, number][]): Option {
  const families = new Map<string, number>();
  const gone = buckets.filter(([reason]) => reason !== "kept");
  for (const [reason, n] of gone) {
    families.set(family(reason), (families.get(family(reason)) ?? 0) + n);
  }
  const links = gone.map(([reason, value]) => ({
    source: ` ${family(reason)}`,
    target: reason,
    value,
  }));
  for (const [name, value] of families) {
    links.push({ source: ROOT, target: ` ${name}`, value });
  }
  const nodes: object[] = [{ name: ROOT, itemStyle: { color: c.accent } }];
  for (const name of families.keys())
    nodes.push({ name: ` ${name}`, itemStyle: { color: c.muted } });
  // In the order given, kind by kind and what is kept last: else they are drawn across one another.
  const kinds = [...families.keys()];
  const ordered = [
    ...kinds.flatMap((kind) => gone.filter(([reason]) => family(reason) === kind)),
    ...buckets.filter(([reason]) => reason === "kept"),
  ];
  for (const [reason] of ordered) {
    const color = reason === "kept" ? c.kept : c.gone;
    nodes.push({ name: reason, itemStyle: { color }, depth: 2 });
  }
  const kept = buckets.find(([reason]) => reason === "kept");
  if (kept) links.push({ source: ROOT, target: "kept", value: kept[1] });
  const narrow = innerWidth < 700;
  return {
    tooltip: { trigger: "item" },
    series: [
      {
        type: "sankey",
        left: 4,
        right: narrow ? 128 : 160,
        top: 8,
        bottom: 8,
        nodeWidth: 14,
        nodeGap: 15,
        draggable: false,
        layoutIterations: 0,
        emphasis: { focus: "adjacency" },
        data: nodes,
        links,
        label: {
          color: c.ink,
          fontSize: narrow ? 10 : 12,
          formatter: ({ name, value }: { name: string; value: number }) =>
            `${spoken(name.trim())} ${value.toLocaleString("en")}`,
        },
        lineStyle: { color: "target", opacity: 0.3 },
      },
    ],
  };
}
