// Assembles every .wat under src into a .gen.ts beside it, which holds the module in base 64. Run: npm run assemble
// With --check it writes nothing and fails where a generated file is not what its source gives.

import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import wabt from "wabt";

const check = process.argv.includes("--check");
const { parseWat } = await wabt();
const sources = readdirSync("src", { recursive: true }).filter((file) => file.endsWith(".wat"));
let stale = 0;
for (const source of sources) {
  const file = path.join("src", source);
  const module = parseWat(source, readFileSync(file, "utf8"), { simd: true });
  const { buffer } = module.toBinary({});
  const text = `// Generated from ${path.basename(file)} by npm run assemble.\nexport const wasmModule =\n  "${Buffer.from(buffer).toString("base64")}";\n`;
  const target = file.replace(/\.wat$/, ".gen.ts");
  const current = existsSync(target) ? readFileSync(target, "utf8") : "";
  if (current === text) continue;
  if (check) {
    console.error(`${target} is not what ${file} gives. Run: npm run assemble`);
    stale++;
  } else {
    writeFileSync(target, text);
    console.log(`${target}: ${buffer.length} bytes`);
  }
}
if (sources.length === 0) throw new Error("no .wat found under src: run this in the project's folder");
process.exitCode = stale > 0 ? 1 : 0;
