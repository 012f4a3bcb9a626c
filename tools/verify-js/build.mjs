// One page with everything in it: usage: build.mjs OUT.html. It loads nothing, works from file://, and its policy lets
// it reach nothing.
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const out = process.argv[2] ?? "verify.html";
const bundle = await build({ entryPoints: [here("src/page.mjs")], bundle: true, minify: true, format: "iife", target: "es2022", charset: "ascii", write: false });
const script = bundle.outputFiles[0].text.trim().replaceAll("</script", "<\\/script");
const digest = createHash("sha256").update(script).digest("base64");
const html = readFileSync(here("src/page.html"), "utf8").replace("SCRIPT_DIGEST", () => digest).replace("SCRIPT_TEXT", () => script);
writeFileSync(out, html);
console.log(`${out}: ${html.length} bytes, SHA-256 ${createHash("sha256").update(html).digest("hex")}`);
