/** The rows themselves: search, filter, sort, and one of them opened whole. */

import {
  type CellComponent,
  FilterModule,
  FormatModule,
  InteractionModule,
  ResponsiveLayoutModule,
  SelectRowModule,
  SortModule,
  Tabulator,
} from "tabulator-tables";
import type { Report, Row } from "./data";
import { count, h, section, short, spoken, untrusted, visible } from "./dom";
import { opened } from "./row";

Tabulator.registerModule([
  FilterModule,
  FormatModule,
  InteractionModule,
  ResponsiveLayoutModule,
  SelectRowModule,
  SortModule,
]);

/** What marks a row, where the page is served by `synth review`. */
export interface Marking {
  /** What a row's mark is shown as. */
  verdict(row: Row): "good" | "bad" | "";
  /** What stands above an opened row. */
  panel(row: Row): HTMLElement;
  /** Shows the row's mark as it is now, if the row is the opened one. */
  show(row: Row): void;
}

const ASKED = "?";
const NARROW = 760; // pixels; the opened row then stands below the grid

type Wanted = (row: Row) => boolean;

export class Browser {
  readonly element: HTMLElement;
  private readonly report: Report;
  private readonly table: Tabulator;
  private readonly ready: Promise<void>;
  private readonly detail = h("div", {
    class: "detail",
    role: "region",
    "aria-label": "The opened row",
    tabindex: 0,
  });
  private readonly spoken = h("p", { class: "spoken", role: "status" });
  private readonly told = h("p", { class: "note", id: "rows-told", role: "status" });
  private readonly search = h("input", {
    type: "search",
    id: "rows-search",
    placeholder: "words of instruction or text",
  });
  private readonly reason: HTMLSelectElement;
  private readonly source: HTMLSelectElement;
  private readonly lowest = h("input", { type: "number", id: "rows-lowest", step: "any" });
  private readonly highest = h("input", { type: "number", id: "rows-highest", step: "any" });
  private readonly marking: Marking | null;
  private extra: { name: string; wanted: Wanted } | null = null;
  private open: Row | null = null;

  constructor(report: Report, marking: Marking | null) {
    this.report = report;
    this.marking = marking;
    this.reason = choice("rows-reason", [
      ...(marking ? ([[ASKED, "to read"]] as [string, string][]) : []),
      ["", "kept and rejected"],
      ["kept", "kept"],
      ["!kept", "rejected"],
      ...report.strata
        .filter(({ reason }) => reason !== "kept")
        .map(({ reason, shown }): [string, string] => [reason, `${spoken(reason)} (${shown})`]),
    ]);
    const sources = [...new Set(report.rows.map((row) => row.source))].filter(Boolean).sort();
    this.source = choice("rows-source", [
      ["", "all sources"],
      ...sources.map((name): [string, string] => [name, short(name, 40)]),
    ]);
    const grid = h("div", { id: "rows-table" });
    this.element = section(
      "rows",
      "The rows",
      h("p", {}, this.sampling()),
      this.filters(sources.length > 1),
      this.told,
      h("a", { href: "#rows-end", class: "skip" }, "Skip the rows"),
      h("div", { class: "browser" }, grid, this.detail),
      this.spoken,
      h("span", { id: "rows-end", tabindex: -1 }),
    );
    this.table = this.made(grid);
    this.ready = new Promise((built) => this.table.on("tableBuilt", () => built()));
    // Rows are reached by their buttons; a grid may hold nothing else that takes the focus.
    void this.ready.then(() => {
      grid.setAttribute("aria-label", "Rows");
      grid.querySelector(".tabulator-tableholder")?.removeAttribute("tabindex");
      this.sortByKeyboard();
    });
    void this.filter();
    addEventListener("keydown", (event) => this.key(event));
    addEventListener("hashchange", () => this.follow());
    this.follow();
  }

  /** The address of the rows of a reason. */
  static link(reason: string): string {
    return `#rows=${reason}`;
  }

  private follow(): void {
    const named = /^#rows=(\w+)$/.exec(location.hash)?.[1];
    if (named) void this.show(named);
  }

  /** Shows the rows of a reason, all other filters let go. */
  async show(reason: string): Promise<void> {
    this.search.value = this.lowest.value = this.highest.value = this.source.value = "";
    this.extra = null;
    this.reason.value = reason;
    await this.filter();
    this.comeTo();
  }

  /** Shows the rows for which something holds, such as those that a changed threshold moves. */
  async showWhere(name: string, wanted: Wanted): Promise<void> {
    this.reason.value = "";
    this.extra = { name, wanted };
    await this.filter();
    this.comeTo();
  }

  /** Brings the section into view, and whoever goes on by keyboard into it. */
  comeTo(): void {
    this.element.scrollIntoView();
    const title = this.element.querySelector("h2");
    title?.setAttribute("tabindex", "-1");
    title?.focus({ preventScroll: true });
  }

  /** Draws a row's mark again. */
  async remark(row: Row): Promise<void> {
    await this.ready;
    this.marking?.show(row);
    const line = this.table.getRow(row.candidate);
    if (!line) return;
    const focused = line.getElement().contains(document.activeElement);
    line.reformat();
    if (focused) line.getElement().querySelector("button")?.focus({ preventScroll: true });
  }

  get opened(): Row | null {
    return this.open;
  }

  /** Opens the row so many places further down. */
  step(by: number): void {
    const rows = this.table.getRows("active");
    const at = rows.findIndex((row) => row.getData() === this.open);
    const next = rows[Math.min(rows.length - 1, Math.max(0, at < 0 ? 0 : at + by))];
    if (!next) return;
    this.select(next.getData() as Row);
    void this.table.scrollToRow(next, "center", false);
  }

  private sampling(): string {
    const all = this.report.strata.reduce((sum, { of }) => sum + of, 0);
    const { length } = this.report.rows;
    if (length === all) return `All ${count(all)} candidates and skipped segments.`;
    return (
      `${count(length)} of ${count(all)} candidates and skipped segments: of each reason an even` +
      " sample over its scores, at least some of every reason. The filter says how many are shown" +
      " of how many."
    );
  }

  private filters(sources: boolean): HTMLElement {
    const update = () => void this.filter();
    for (const input of [this.search, this.lowest, this.highest])
      input.addEventListener("input", update);
    for (const input of [this.reason, this.source]) input.addEventListener("change", update);
    const clear = () => void this.show("");
    return h(
      "form",
      { class: "filters", onsubmit: (event) => event.preventDefault(), role: "search" },
      labelled("Search", this.search),
      labelled("Fate", this.reason),
      sources && labelled("Source", this.source),
      labelled("Log-probability from", this.lowest),
      labelled("to", this.highest),
      h("button", { type: "button", onclick: clear }, "Clear"),
    );
  }

  private async filter(): Promise<void> {
    await this.ready;
    const words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const { reason, source, lowest, highest, extra } = this;
    const low = lowest.value === "" ? null : lowest.valueAsNumber;
    const high = highest.value === "" ? null : highest.valueAsNumber;
    const wanted = (row: Row): boolean =>
      fits(row, reason.value) &&
      (!source.value || row.source === source.value) &&
      (low === null || (row.logprob !== null && row.logprob >= low)) &&
      (high === null || (row.logprob !== null && row.logprob <= high)) &&
      (!extra || extra.wanted(row)) &&
      holds(row, words);
    this.table.setFilter(wanted);
  }

  private tell(shown: number): void {
    const { value } = this.reason;
    const stratum = this.report.strata.find(({ reason }) => reason === value);
    const of = stratum
      ? `, a sample of ${count(stratum.of)} ${spoken(value)}`
      : ` of ${count(this.report.rows.length)} in this page`;
    const which = this.extra ? `, ${this.extra.name}` : "";
    this.told.textContent = `${count(shown)} ${shown === 1 ? "row" : "rows"}${which}${stratum && stratum.of === stratum.shown ? "" : of}. j and k step through them.`;
  }

  private made(grid: HTMLElement): Tabulator {
    const marks = this.marking;
    const table = new Tabulator(grid, {
      data: [...this.report.rows].sort(
        (one, other) => (one.asked ?? Infinity) - (other.asked ?? Infinity),
      ),
      index: "candidate",
      height: 460,
      layout: "fitColumns",
      responsiveLayout: "hide",
      selectableRows: 1,
      placeholder: "No row is like this",
      columnDefaults: { headerHozAlign: "left" },
      columns: [
        { title: "fate", field: "reason", width: 108, responsive: 0, formatter: fate },
        {
          title: "instruction",
          field: "instruction",
          widthGrow: 3,
          minWidth: 150,
          responsive: 0,
          formatter: (cell) =>
            this.button(cell.getRow().getData() as Row, cell.getValue() as string | null),
        },
        {
          title: "text",
          field: "text",
          widthGrow: 3,
          minWidth: 140,
          responsive: 3,
          formatter: (cell) => untrusted(short(String(cell.getValue()), 90)),
        },
        {
          title: "log-prob.",
          field: "logprob",
          width: 104,
          hozAlign: "right",
          sorter: "number",
          responsive: 1,
          formatter: (cell) => h("span", {}, (cell.getValue() as number | null)?.toFixed(3) ?? ""),
        },
        {
          title: "value",
          field: "value",
          width: 86,
          responsive: 2,
          formatter: (cell) => untrusted(short(String(cell.getValue() ?? ""), 24)),
        },
        ...(marks
          ? [
              {
                title: "mark",
                field: "candidate",
                width: 64,
                responsive: 0,
                headerSort: false,
                formatter: (cell: CellComponent) =>
                  badge(marks.verdict(cell.getRow().getData() as Row)),
              },
            ]
          : []),
      ],
    });
    // Tabulator's own module also draws the rows again whenever the grid is scrolled into sight, and
    // what is clicked or focused in that moment is gone.
    let width = 0;
    const resized = new ResizeObserver(() => {
      if (width && width !== grid.clientWidth) table.redraw();
      width = grid.clientWidth;
    });
    table.on("tableBuilt", () => resized.observe(grid));
    table.on("dataFiltered", (_filters, rows) => this.tell(rows.length));
    table.on("rowClick", (_event, row) => this.select(row.getData() as Row));
    return table;
  }

  private button(row: Row, instruction: string | null): HTMLElement {
    const label = instruction === null ? "(no instruction)" : short(instruction, 110);
    return h(
      "button",
      { type: "button", class: "open", onclick: () => this.select(row) },
      untrusted(label),
    );
  }

  private select(row: Row): void {
    this.table.deselectRow();
    this.table.selectRow(row.candidate);
    this.openRow(row);
  }

  private openRow(row: Row): void {
    this.open = row;
    this.detail.replaceChildren(this.marking?.panel(row) ?? "", opened(row, this.report));
    this.detail.scrollTop = 0;
    this.spoken.textContent = `${spoken(row.reason)}: ${short(row.instruction ?? "no instruction", 200)}`;
    if (innerWidth <= NARROW) this.detail.scrollIntoView();
  }

  private sortByKeyboard(): void {
    for (const column of this.table.getColumns()) {
      const head = column.getElement();
      if (!head.classList.contains("tabulator-sortable")) continue;
      head.tabIndex = 0;
      head.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        const falls = head.getAttribute("aria-sort") === "ascending";
        this.table.setSort(column.getField(), falls ? "desc" : "asc");
      });
    }
  }

  private key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event)) return;
    if (event.key === "j") this.step(1);
    else if (event.key === "k") this.step(-1);
    else return;
    event.preventDefault();
  }
}

/** Whether the key goes into a field. */
export function typing(event: KeyboardEvent): boolean {
  const { target } = event;
  return target instanceof HTMLElement && /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
}

function fits({ reason, asked }: Row, wanted: string): boolean {
  if (!wanted) return true;
  if (wanted === ASKED) return asked !== null;
  return wanted === "!kept" ? reason !== "kept" : reason === wanted;
}

const searched = new WeakMap<Row, string>();

function holds(row: Row, words: string[]): boolean {
  if (!words.length) return true;
  const text =
    searched.get(row) ??
    `${row.instruction ?? ""}\n${row.text}\n${row.document_id}\n${row.segment_id}`.toLowerCase();
  searched.set(row, text);
  return words.every((word) => text.includes(word));
}

function fate(cell: { getValue(): unknown }): HTMLElement {
  const reason = String(cell.getValue());
  return h("span", { class: reason === "kept" ? "badge kept" : "badge gone" }, spoken(reason));
}

function badge(verdict: string): HTMLElement {
  return h(
    "span",
    { class: verdict ? `badge ${verdict === "good" ? "kept" : "gone"}` : "" },
    verdict,
  );
}

function choice(id: string, options: [value: string, label: string][]): HTMLSelectElement {
  const option = ([value, label]: [string, string]) => h("option", { value }, visible(label));
  return h("select", { id }, ...options.map(option));
}

function labelled(name: string, input: HTMLElement): HTMLElement {
  return h("label", {}, h("span", {}, name), input);
}
