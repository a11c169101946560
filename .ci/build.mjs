// Builds dist/ where it is not newer than all of src/, and removes what no source gives any more. Jest does it before
// the first test too, so that no test runs a stale dist/. The compiler writes nothing where a type is wrong
// (noEmitOnError): dist/ then stays older, and the next build tries again.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, rmSync, statSync } from "node:fs";
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
const sources = ["src", "tsconfig.json", ...within("src")];
const fresh = built().length > 0 && Math.min(...built().map(modified)) >= Math.max(...sources.map(modified));
if (!fresh) {
  const before = Math.max(0, ...built().map(modified));
  const compiler = path.join(
    path.dirname(createRequire(import.meta.url).resolve("typescript/package.json")),
    "bin/tsc",
  );
  const { status } = spawnSync(process.execPath, [compiler, "-p", "tsconfig.json"], { cwd: root, stdio: "inherit" });
  if (status !== 0) {
    console.error("dist/ is not built: the compiler's errors are above");
    process.exit(status ?? 1);
  }
  for (const file of built()) if (modified(file) <= before) rmSync(path.join(root, file));
}
