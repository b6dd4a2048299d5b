/** Pictures with ECharts: drawn when they come into view, in the page's colours, never from HTML. */

import { BarChart, LineChart, SankeyChart, SunburstChart } from "echarts/charts";
import {
  GridComponent,
  LegendComponent,
  LegendScrollComponent,
  MarkLineComponent,
  TooltipComponent,
} from "echarts/components";
import { type EChartsCoreOption, type EChartsType, init, use } from "echarts/core";
import { SVGRenderer } from "echarts/renderers";
import { type Cell, h, table } from "./dom";

use([
  BarChart,
  LineChart,
  SankeyChart,
  SunburstChart,
  GridComponent,
  LegendComponent,
  LegendScrollComponent,
  MarkLineComponent,
  TooltipComponent,
  SVGRenderer,
]);

export interface Colours {
  ink: string;
  muted: string;
  line: string;
  sheet: string;
  kept: string;
  gone: string;
  accent: string;
  gold: string;
  series: string[];
}

export function colours(): Colours {
  const style = getComputedStyle(document.documentElement);
  const of = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  const names = ["accent", "gone", "kept", "violet", "gold", "sky", "rose"];
  return {
    ink: of("ink"),
    muted: of("muted"),
    line: of("line"),
    sheet: of("sheet"),
    kept: of("kept"),
    gone: of("gone"),
    accent: of("accent"),
    gold: of("gold"),
    series: names.map(of),
  };
}

/** What ECharts takes. */
export type Option = EChartsCoreOption;

interface Picture {
  title: string;
  note?: string;
  height?: number;
  option: (colours: Colours) => Option;
  /** The same as a table, for those who do not see the picture. */
  head: string[];
  rows: Cell[][];
  onclick?: (name: string) => void;
}

const pending = new Map<Element, () => EChartsType>();
const drawn = new Map<Element, { chart: EChartsType; redraw: () => void }>();
const seen = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) if (entry.isIntersecting) draw(entry.target);
  },
  { rootMargin: "300px" },
);
const resized = new ResizeObserver((entries) => {
  for (const entry of entries) drawn.get(entry.target)?.chart.resize();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawAll);
/** Draws all as large as their places are now. */
function fit(): void {
  for (const { chart, redraw } of drawn.values()) {
    chart.resize();
    redraw();
  }
}

addEventListener("beforeprint", () => {
  document.body.classList.add("paper");
  for (const element of [...pending.keys()]) draw(element);
  fit();
});
addEventListener("afterprint", () => {
  document.body.classList.remove("paper");
  fit();
});

function draw(element: Element): void {
  pending.get(element)?.();
  pending.delete(element);
  seen.unobserve(element);
}

/** Draws again what was drawn, as after a change of colours. */
export function redrawAll(): void {
  for (const { redraw } of drawn.values()) redraw();
}

/** A figure: title, picture, and its numbers as a table. */
export function picture(given: Picture): HTMLElement {
  const place = h("div", { class: "chart", role: "img", "aria-label": given.title });
  place.style.height = `${given.height ?? 260}px`;
  pending.set(place, () => {
    const chart = init(place, null, { renderer: "svg" });
    const redraw = () => chart.setOption(completed(given.option(colours())), true);
    redraw();
    if (given.onclick) {
      const { onclick } = given;
      chart.on("click", (event) => onclick(String(event.name ?? "")));
    }
    drawn.set(place, { chart, redraw });
    resized.observe(place);
    return chart;
  });
  seen.observe(place);
  return h(
    "figure",
    {},
    h(
      "figcaption",
      {},
      h("h3", {}, given.title),
      given.note && h("p", { class: "note" }, given.note),
    ),
    place,
    h("details", {}, h("summary", {}, "As a table"), table(given.head, given.rows, given.title)),
  );
}

/** Draws the figure's picture again from its option, as after its data changed. */
export function redraw(figure: HTMLElement): void {
  const place = figure.querySelector(".chart");
  if (place) drawn.get(place)?.redraw();
}

function completed(option: Option): Option {
  const c = colours();
  return {
    backgroundColor: "transparent",
    color: c.series,
    textStyle: { color: c.ink, fontFamily: getComputedStyle(document.body).fontFamily },
    animation: false, // what is printed or looked at by a machine must be there at once
    ...option,
    tooltip: {
      renderMode: "richText",
      confine: true,
      backgroundColor: c.sheet,
      borderColor: c.line,
      textStyle: { color: c.ink },
      ...(option.tooltip as object),
    },
  };
}

/** Axes as quiet as they can be. */
export function axis(c: Colours, name: string, more: object = {}): object {
  return {
    name,
    nameLocation: "middle",
    nameGap: 28,
    nameTextStyle: { color: c.muted },
    axisLabel: { color: c.muted, hideOverlap: true },
    axisLine: { lineStyle: { color: c.line } },
    splitLine: { lineStyle: { color: c.line, opacity: 0.6 } },
    ...more,
  };
}

export const GRID = { left: 56, right: 20, top: 34, bottom: 44 };
