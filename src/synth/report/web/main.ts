/** The data in the page -> the page. */

import { read } from "./data";
import { h } from "./dom";
import { funnel } from "./funnel";
import { headline, making } from "./headline";
import { portrait } from "./portrait";
import { Reviewing } from "./review";
import { Browser } from "./rows";
import { training } from "./training";
import { whatIf } from "./whatif";

const report = await read();
document.title = `${report.name} · synth ${report.review ? "review" : "report"}`;
const reviewing = report.review ? new Reviewing(report) : null;
const browser = report.rows.length ? new Browser(report, reviewing) : null;
const rows = [reviewing?.element, browser?.element];
const rest = [
  funnel(report, (reason) => void browser?.show(reason), Browser.link),
  training(report),
  portrait(report),
];
const sections = [
  ...(report.review ? rows : []),
  ...rest,
  ...(report.review ? [] : rows),
  browser && whatIf(report, browser),
  making(report),
].filter((part): part is HTMLElement => part instanceof HTMLElement);

const links = sections
  .filter((part) => part.id)
  .map((part) => h("a", { href: `#${part.id}` }, part.querySelector("h2")?.textContent ?? ""));
document.body.replaceChildren(
  h("a", { href: "#main", class: "skip" }, "Skip to the content"),
  headline(report),
  h("nav", { "aria-label": "Sections" }, ...links),
  h("main", { id: "main" }, ...sections),
);
if (browser && reviewing) {
  document.body.classList.add("reviewing");
  reviewing.start(browser);
}
document.documentElement.dataset.ready = "yes";
