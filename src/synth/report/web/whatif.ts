/** Sliders for the thresholds: how many rows each value would keep, counted by `synth curate` itself. */

import { axis, type Colours, GRID, type Option, picture, redraw } from "./charts";
import type { Report, Row, Sweep } from "./data";
import { count, h, section, spoken } from "./dom";
import type { Browser } from "./rows";

interface Knob {
  sweep: Sweep;
  input: HTMLInputElement;
  element: HTMLElement;
}

export function whatIf(report: Report, browser: Browser): HTMLElement | null {
  const { sweeps, ledger } = report;
  if (report.unswept) return section("whatif", "What if", h("p", {}, report.unswept));
  if (!sweeps.length || !ledger) return null;
  const now = ledger.buckets.kept ?? 0;
  const total = h("output", { id: "whatif-kept" });
  const moved = h("p", { class: "note", id: "whatif-moved" });
  const line = h("code", { id: "whatif-set" });
  const show = h("button", { type: "button", disabled: true }, "Show them");
  const reset = h("button", { type: "button" }, "As it is");
  const knobs = sweeps.map((sweep) => knob(sweep, () => update()));
  const turned = (): Knob[] => knobs.filter(({ sweep, input }) => at(input) !== sweep.current);
  const stays = (row: Row): boolean =>
    knobs.every(({ input }, k) => (row.stays[k] ?? 0) & (1 << at(input)));
  const changes = (row: Row): boolean => stays(row) !== (row.reason === "kept");

  const update = (): void => {
    const some = turned();
    const kept = keeps(report, some, stays, now);
    total.value = `${some.length > 1 ? "about " : ""}${count(kept)}`;
    const leave = report.rows.filter((row) => row.reason === "kept" && !stays(row)).length;
    const back = report.rows.filter((row) => row.reason !== "kept" && stays(row)).length;
    moved.textContent = some.length
      ? `${kept >= now ? "+" : "−"}${count(Math.abs(kept - now))} segments. Of the rows in this page` +
        ` ${count(leave)} would leave and ${count(back)} come back.` +
        (some.length > 1 ? " With several sliders moved the count is an estimate." : "")
      : "Exact for one slider at a time; nothing is moved yet.";
    const given = some.map(({ sweep, input }) => sweep.given[at(input)] ?? "");
    line.textContent = [report.command, ...given].join(" ");
    show.disabled = leave + back === 0;
  };
  show.addEventListener("click", () => void browser.showWhere("that would change", changes));
  reset.addEventListener("click", () => {
    for (const one of knobs) turn(one, one.sweep.current);
    update();
  });
  update();
  return section(
    "whatif",
    "What if",
    h(
      "div",
      { class: "whatif-told", role: "status" },
      h("p", { class: "big" }, total, ` of ${count(ledger.segments)} segments kept`),
      moved,
      h("p", {}, line),
      h("p", { class: "buttons" }, show, reset),
    ),
    h("div", { class: "columns knobs" }, ...knobs.map(({ element }) => element)),
  );
}

function at(input: HTMLInputElement): number {
  return input.valueAsNumber;
}

/** How many segments stay: exact where one slider is moved, else by the rows in this page. */
function keeps(report: Report, some: Knob[], stays: (row: Row) => boolean, now: number): number {
  const [one] = some;
  if (!one) return now;
  if (some.length === 1) return one.sweep.kept[at(one.input)] ?? now;
  let kept = 0;
  for (const { reason, shown, of } of report.strata) {
    if (!shown) continue;
    const stay = report.rows.filter((row) => row.reason === reason && stays(row)).length;
    kept += (stay / shown) * of;
  }
  return Math.round(kept);
}

function turn({ input }: Knob, to: number): void {
  input.value = String(to);
  input.dispatchEvent(new Event("input"));
}

function named({ setting, bound }: Sweep): string {
  return spoken(setting) + (bound === null ? "" : bound === 0 ? " from" : " to");
}

function told(value: number | null | undefined): string {
  return value === null || value === undefined ? "off" : count(value);
}

function knob(sweep: Sweep, changed: () => void): Knob {
  const id = `knob-${sweep.setting}-${sweep.bound ?? ""}`
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replace(/-$/, "");
  const value = h("output", { for: id });
  const input = h("input", {
    type: "range",
    id,
    min: 0,
    max: sweep.values.length - 1,
    step: 1,
    value: sweep.current,
  });
  const figure = drawing(sweep, input);
  const tell = (): void => {
    const stop = at(input);
    value.value = `${told(sweep.values[stop])}: ${count(sweep.kept[stop] ?? 0)} kept`;
    input.setAttribute("aria-valuetext", value.value);
  };
  input.addEventListener("input", () => {
    tell();
    redraw(figure);
    changed();
  });
  tell();
  const element = h(
    "div",
    { class: "knob" },
    h("label", { for: id }, named(sweep)),
    value,
    input,
    h("p", { class: "note" }, sweep.about),
    figure,
  );
  return { sweep, input, element };
}

function drawing(sweep: Sweep, input: HTMLInputElement): HTMLElement {
  const bins = sweep.edges.length > 1;
  return picture({
    title: named(sweep),
    height: 120,
    option: (c) => (bins ? spread(c, sweep, at(input)) : keptBy(c, sweep, at(input))),
    head: [named(sweep), "kept"],
    rows: sweep.values.map((value, stop) => [told(value), sweep.kept[stop] ?? 0]),
  });
}

/** What the rule measures of the rows that pass all others, and where the value is. */
function spread(c: Colours, { edges, counts, values }: Sweep, stop: number): Option {
  const low = edges[0] ?? 0;
  const high = edges.at(-1) ?? 1;
  return {
    ...axes(c, { min: low, max: high }),
    tooltip: { show: false },
    series: [
      {
        type: "line",
        step: "end",
        areaStyle: { opacity: 0.35 },
        lineStyle: { width: 1 },
        showSymbol: false,
        data: [[low, 0], ...counts.map((n, bin) => [edges[bin + 1] ?? high, n])],
        color: c.accent,
        markLine: line(c, values[stop]),
      },
    ],
  };
}

function keptBy(c: Colours, { values, kept }: Sweep, stop: number): Option {
  return {
    ...axes(c, { min: "dataMin", max: "dataMax" }),
    series: [
      {
        name: "kept",
        type: "line",
        data: values.flatMap((value, at) => (value === null ? [] : [[value, kept[at]]])),
        color: c.kept,
        symbolSize: 5,
        markLine: line(c, values[stop]),
      },
    ],
  };
}

function axes(c: Colours, range: object): object {
  return {
    grid: { ...GRID, top: 8, bottom: 22, left: 48 },
    tooltip: { trigger: "axis" },
    xAxis: axis(c, "", { type: "value", ...range }),
    yAxis: axis(c, "", { type: "value", splitNumber: 2, scale: true, min: 0 }),
  };
}

function line(c: Colours, value: number | null | undefined): object {
  return {
    silent: true,
    symbol: "none",
    label: { show: false },
    lineStyle: { color: c.ink, type: "dashed", width: 1.5 },
    data: value === null || value === undefined ? [] : [{ xAxis: value }],
  };
}
