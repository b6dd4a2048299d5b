/** Marks by people, saved as they are given; only where `synth review` serves the page. */

import type { Mark, Report, Row } from "./data";
import { count, h } from "./dom";
import { type Browser, type Marking, typing } from "./rows";

type Verdict = Mark["verdict"];

const VERDICTS: [verdict: Verdict, label: string][] = [
  ["good", "Good (g)"],
  ["bad", "Bad (b)"],
  ["", "Take back (u)"],
];
const PAUSE = 700; // milliseconds without a letter, after which a comment is saved

/** The controls of the opened row; they stay as they are while marks come and go. */
interface Controls {
  row: Row;
  buttons: Map<Verdict, HTMLElement>;
  comment: HTMLTextAreaElement;
  /** Whether letters were typed that are not saved yet. */
  typed: boolean;
  pause: number;
}

export class Reviewing implements Marking {
  readonly element: HTMLElement;
  private readonly marks = new Map<string, Mark>();
  private readonly told = h("p", { id: "review-told", role: "status" });
  private readonly report: Report;
  private browser: Browser | null = null;
  private controls: Controls | null = null;
  /** The last mark on its way; the next one waits for its answer, so that none overtakes another. */
  private sending: Promise<boolean> = Promise.resolve(true);
  private underWay = 0;

  constructor(report: Report) {
    this.report = report;
    this.take(report.marks);
    this.element = h(
      "aside",
      { class: "review", "aria-label": "Review" },
      this.told,
      h("p", { class: "note" }, "j next, k previous, g good, b bad, u take back, c comment"),
    );
    this.tell();
  }

  /** Begins to listen to keys and to marks of other tabs; those made before the page was read. */
  start(browser: Browser): void {
    this.browser = browser;
    void this.refresh();
    addEventListener("keydown", (event) => this.key(event));
    addEventListener("focus", () => void this.refresh());
    addEventListener("pagehide", () => this.flush());
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.flush();
      else void this.refresh();
    });
  }

  verdict(row: Row): Verdict {
    return this.marks.get(row.candidate)?.verdict ?? "";
  }

  panel(row: Row): HTMLElement {
    this.flush();
    const comment = h("textarea", { id: "review-comment", rows: 2, maxlength: 2000 });
    const buttons = new Map(
      VERDICTS.map(([verdict, label]): [Verdict, HTMLElement] => [
        verdict,
        h(
          "button",
          {
            type: "button",
            class: `mark ${verdict}`,
            onclick: () => void this.save(row, verdict, comment.value),
          },
          label,
        ),
      ]),
    );
    const controls: Controls = { row, buttons, comment, typed: false, pause: 0 };
    comment.addEventListener("input", () => {
      controls.typed = true;
      clearTimeout(controls.pause);
      controls.pause = setTimeout(() => this.flush(), PAUSE);
    });
    comment.addEventListener("change", () => this.flush());
    this.controls = controls;
    this.show(row);
    return h(
      "div",
      { class: "marking" },
      ...buttons.values(),
      h("label", { for: "review-comment" }, "Comment (c)"),
      comment,
    );
  }

  show(row: Row): void {
    if (this.controls?.row !== row) return;
    const { buttons, comment, typed } = this.controls;
    for (const [verdict, button] of buttons)
      button.setAttribute("aria-pressed", String(verdict !== "" && this.verdict(row) === verdict));
    if (!typed) comment.value = this.marks.get(row.candidate)?.comment ?? "";
  }

  /** Saves a comment that is still being typed. */
  private flush(): void {
    const { controls } = this;
    if (!controls?.typed) return;
    void this.save(controls.row, this.verdict(controls.row), controls.comment.value);
  }

  private key(event: KeyboardEvent): void {
    const row = this.browser?.opened;
    const comment = this.controls?.comment;
    if (event.key === "Escape") comment?.blur();
    if (!row || event.ctrlKey || event.metaKey || event.altKey || typing(event)) return;
    const verdicts: Record<string, Verdict> = { g: "good", b: "bad", u: "" };
    const verdict = verdicts[event.key];
    if (event.key === "c") comment?.focus();
    else if (verdict === undefined) return;
    else
      void this.save(row, verdict, comment?.value ?? "").then(
        (saved) => saved && verdict && this.browser?.opened === row && this.browser.step(1),
      );
    event.preventDefault();
  }

  /** Shows the mark at once and sends it; counts it once it is kept, else takes it back. */
  private save(row: Row, verdict: Verdict, comment: string): Promise<boolean> {
    const { candidate } = row;
    const mark: Mark = { candidate, verdict, comment };
    const before = this.marks.get(candidate);
    if (this.controls?.row === row) {
      this.controls.typed = false;
      clearTimeout(this.controls.pause);
    }
    this.mark(row, mark);
    this.underWay += 1;
    this.sending = this.sending.then(async () => {
      const failure = await this.post(mark);
      this.underWay -= 1;
      this.told.classList.toggle("failed", failure !== null);
      if (failure === null) {
        this.tell();
        return true;
      }
      if (this.marks.get(candidate) === mark) this.mark(row, before);
      this.told.textContent = `Not saved: ${failure}. Is synth review still running?`;
      return false;
    });
    return this.sending;
  }

  private mark(row: Row, mark: Mark | undefined): void {
    if (mark) this.marks.set(row.candidate, mark);
    else this.marks.delete(row.candidate);
    void this.browser?.remark(row);
  }

  private async post(mark: Mark): Promise<string | null> {
    try {
      // Sent to its end though the page may be left meanwhile.
      const body = JSON.stringify(mark);
      const answer = await this.ask("marks", { method: "POST", body, keepalive: true });
      return answer.ok ? null : (await answer.text()).slice(0, 200).trim();
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  private async refresh(): Promise<void> {
    const answer = await this.ask("marks").catch(() => null);
    if (!answer) return; // saving tells of it
    if (!answer.ok) {
      this.told.classList.add("failed");
      this.told.textContent = (await answer.text()).slice(0, 200).trim();
      return;
    }
    const marks = (await answer.json()) as Mark[];
    if (this.underWay) return; // what was read is older than what is shown
    const before = new Map(this.marks);
    this.take(marks);
    this.told.classList.remove("failed");
    this.tell();
    for (const row of this.report.rows) {
      const [old, now] = [before.get(row.candidate), this.marks.get(row.candidate)];
      if (old?.verdict !== now?.verdict || old?.comment !== now?.comment)
        await this.browser?.remark(row);
    }
  }

  private ask(what: string, more: RequestInit = {}): Promise<Response> {
    const token = new URLSearchParams(location.search).get("token") ?? "";
    return fetch(what, { ...more, headers: { "X-Synth-Token": token }, cache: "no-store" });
  }

  private take(marks: Mark[]): void {
    this.marks.clear();
    for (const mark of marks) this.marks.set(mark.candidate, mark);
  }

  private tell(): void {
    const verdicts = (rows: Row[]): Verdict[] =>
      rows.map((row) => this.verdict(row)).filter(Boolean);
    const asked = this.report.rows.filter((row) => row.asked !== null);
    const read = verdicts(asked);
    const good = read.filter((verdict) => verdict === "good").length;
    const others = verdicts(this.report.rows).length - read.length;
    this.told.textContent =
      `${count(read.length)} of ${count(asked.length)} rows read:` +
      ` ${count(good)} good, ${count(read.length - good)} bad` +
      (others ? `; ${count(others)} other rows marked` : "");
  }
}
