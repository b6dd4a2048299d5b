// The page's sources -> ../page.html: one file that wants nothing but its data.

import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { build } from "esbuild";

const { outputFiles } = await build({
  entryPoints: { script: "main.ts", style: "page.css" },
  outdir: "out",
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  charset: "ascii",
  legalComments: "inline",
  write: false,
});
const parts = {};
for (const { path, text } of outputFiles) {
  const name = path.endsWith(".css") ? "style" : "script";
  parts[name] = text.replaceAll("</script", "<\\/script").replaceAll("<!--", "<\\!--");
  parts[`${name}-hash`] = `sha256-${createHash("sha256").update(parts[name]).digest("base64")}`;
}
let page = await readFile("page.html", "utf8");
for (const [name, text] of Object.entries(parts)) page = page.replace(`{${name}}`, () => text);
await writeFile("../page.html", page);
