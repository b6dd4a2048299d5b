/** Marks by people, saved as they are given; only where `synth review` serves the page. */

import type { Mark, Report, Row } from "./data";
import { count, h } from "./dom";
import { type Browser, type Marking, typing } from "./rows";

type Verdict = Mark["verdict"];

export class Reviewing implements Marking {
  readonly element: HTMLElement;
  private readonly marks = new Map<string, Mark>();
  private readonly told = h("p", { id: "review-told", role: "status" });
  private readonly report: Report;
  private browser: Browser | null = null;

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
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) void this.refresh();
    });
  }

  verdict(row: Row): Verdict {
    return this.marks.get(row.candidate)?.verdict ?? "";
  }

  panel(row: Row): HTMLElement {
    const mark = this.marks.get(row.candidate);
    const comment = h("textarea", { id: "review-comment", rows: 2, maxlength: 2000 });
    comment.value = mark?.comment ?? "";
    comment.addEventListener("change", () => void this.save(row, this.verdict(row), comment.value));
    const button = (verdict: Verdict, label: string): HTMLElement =>
      h(
        "button",
        {
          type: "button",
          class: `mark ${verdict}`,
          "aria-pressed": String(this.verdict(row) === verdict && verdict !== ""),
          onclick: () => void this.save(row, verdict, comment.value),
        },
        label,
      );
    return h(
      "div",
      { class: "marking" },
      button("good", "Good (g)"),
      button("bad", "Bad (b)"),
      button("", "Take back (u)"),
      h("label", { for: "review-comment" }, "Comment (c)"),
      comment,
    );
  }

  private key(event: KeyboardEvent): void {
    const row = this.browser?.opened;
    const comment = document.getElementById("review-comment") as HTMLTextAreaElement | null;
    if (event.key === "Escape") comment?.blur();
    if (!row || event.ctrlKey || event.metaKey || event.altKey || typing(event)) return;
    const verdicts: Record<string, Verdict> = { g: "good", b: "bad", u: "" };
    const verdict = verdicts[event.key];
    if (event.key === "c") comment?.focus();
    else if (verdict === undefined) return;
    else
      void this.save(row, verdict, comment?.value ?? "").then(
        (saved) => saved && verdict && this.browser?.step(1),
      );
    event.preventDefault();
  }

  private async save(row: Row, verdict: Verdict, comment: string): Promise<boolean> {
    const mark = { candidate: row.candidate, verdict, comment };
    try {
      const answer = await this.ask("marks", { method: "POST", body: JSON.stringify(mark) });
      if (!answer.ok) throw new Error((await answer.text()).slice(0, 200));
    } catch (error) {
      this.told.textContent = `Not saved: ${error instanceof Error ? error.message : error}. Is synth review still running?`;
      this.told.classList.add("failed");
      return false;
    }
    this.told.classList.remove("failed");
    this.marks.set(row.candidate, mark);
    this.tell();
    await this.browser?.remark(row);
    return true;
  }

  private async refresh(): Promise<void> {
    const answer = await this.ask("marks").catch(() => null);
    if (!answer?.ok) return;
    const before = new Map(this.marks);
    this.take((await answer.json()) as Mark[]);
    this.tell();
    for (const row of this.report.rows)
      if (this.verdict(row) !== (before.get(row.candidate)?.verdict ?? ""))
        await this.browser?.remark(row);
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
