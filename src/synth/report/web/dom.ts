/** Elements made of text: nothing here is ever read as HTML. */

type Child = Node | string | null | undefined | false;
type Attributes = Record<string, string | number | boolean | EventListener | undefined>;

/** An element; `on...` attributes are listeners, `true` is an attribute without a value. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== undefined && value !== false) element.setAttribute(name, String(value));
  }
  for (const child of children) if (child || child === "") element.append(child);
  return element;
}

// What turns the direction of text, hides in it or commands a terminal.
const INVISIBLE = /(?![\n\t\r\u200c\u200d])[\p{Cc}\p{Cf}]|[\ufffe\uffff]/gu;

function named(character: string): string {
  const code = (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0");
  return `U+${code}`;
}

/** Text that nobody vouches for, where there can be no element: its invisible characters named. */
export function visible(text: string): string {
  return text.replace(INVISIBLE, named);
}

/** Text that nobody vouches for: kept apart in direction, its invisible characters shown. */
export function untrusted(text: string, tag: "bdi" | "pre" = "bdi"): HTMLElement {
  const scrolls = tag === "pre" ? 0 : undefined;
  const shown = h(tag, { dir: "auto", class: "untrusted", tabindex: scrolls });
  let from = 0;
  for (const found of text.matchAll(INVISIBLE)) {
    const name = h("span", { class: "hidden-char" }, named(found[0]));
    shown.append(text.slice(from, found.index), name);
    from = found.index + found[0].length;
  }
  shown.append(text.slice(from));
  return shown;
}

/** The text in one short line. */
export function short(text: string, most: number): string {
  const flat = text
    .slice(0, most * 4)
    .replace(/\s+/g, " ")
    .trim();
  return flat.length > most ? `${flat.slice(0, most - 1)}…` : flat;
}

export type Cell = string | number | Node | null;

/** A table with a head; the first cell of a row is its header. */
export function table(head: string[], rows: Cell[][], caption?: string): HTMLElement {
  const cell = (value: Cell, at: number): HTMLElement => {
    const number = typeof value === "number";
    const shown = number ? count(value) : (value ?? "");
    return at === 0
      ? h("th", { scope: "row" }, shown)
      : h("td", { class: number ? "number" : undefined }, shown);
  };
  const column = (name: string, at: number): HTMLElement => {
    const numbers = at > 0 && typeof rows.find((row) => row[at] !== null)?.[at] === "number";
    return h("th", { scope: "col", class: numbers ? "number" : undefined }, name);
  };
  return h(
    "div",
    { class: "table-scroll", tabindex: 0, role: "region", "aria-label": caption ?? "table" },
    h(
      "table",
      {},
      caption && h("caption", {}, caption),
      h("thead", {}, h("tr", {}, ...head.map(column))),
      h("tbody", {}, ...rows.map((row) => h("tr", {}, ...row.map(cell)))),
    ),
  );
}

/** A number as people write it. */
export function count(value: number): string {
  return Number.isInteger(value)
    ? value.toLocaleString("en")
    : Number(value.toPrecision(4)).toLocaleString("en", { maximumFractionDigits: 4 });
}

export function percent(part: number, whole: number): string {
  return whole ? `${((100 * part) / whole).toFixed(1)} %` : "–";
}

/** `near_text` -> `near text`. */
export function spoken(name: string): string {
  return name.replaceAll("_", " ");
}

/** A section of the page. */
export function section(id: string, title: string, ...children: Child[]): HTMLElement {
  return h(
    "section",
    { id, "aria-labelledby": `${id}-title` },
    h("h2", { id: `${id}-title` }, title),
    ...children,
  );
}
