// Builds dist/ where it is not newer than all of src/, and removes what no source gives any more: CommonJS for Node, and in
// dist/browser the client and the server's page as modules that browsers load as they are. Jest does it before
// the first test too, so that no test runs a stale dist/. The compiler writes nothing where a type is wrong
// (noEmitOnError): dist/ then stays older, and the next build tries again.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const modified = (file) => statSync(path.join(root, file)).mtimeMs;
const within = (folder) =>
  existsSync(path.join(root, folder))
    ? readdirSync(path.join(root, folder), { recursive: true }).map((file) => path.join(folder, file))
    : [];
const built = () => within("dist").filter((file) => /\.(js|d\.ts)$/.test(file));

// Folders count: their times tell of sources that went.
const projects = ["tsconfig.json", "tsconfig.browser.json"];
const sources = ["src", ...projects, ...within("src")];
const whole = ["dist/cli/main.js", "dist/browser/client/index.js"].every((file) => existsSync(path.join(root, file)));
const fresh = whole && Math.min(...built().map(modified)) >= Math.max(...sources.map(modified));
if (!fresh) {
  const before = Math.max(0, ...built().map(modified));
  const compiler = path.join(
    path.dirname(createRequire(import.meta.url).resolve("typescript/package.json")),
    "bin/tsc",
  );
  for (const project of projects) {
    const { status } = spawnSync(process.execPath, [compiler, "-p", project], { cwd: root, stdio: "inherit" });
    if (status === 0) continue;
    console.error("dist/ is not built: the compiler's errors are above");
    process.exit(status ?? 1);
  }
  writeFileSync(path.join(root, "dist/browser/package.json"), '{ "type": "module" }\n');
  for (const file of built()) if (modified(file) <= before) rmSync(path.join(root, file));
}
