// Sources for child processes: src/ as CommonJS in a temporary folder, because a child has no Jest transform.
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { transformSync } from "@swc/core";
import { temporaryFolder } from "./temporary-folder";

const root = path.join(__dirname, "../..");

/** Compiles the named files of src/, and what they import, and returns the folder that stands for src/. */
export function compileSources(files: readonly string[]): string {
  const folder = temporaryFolder();
  symlinkSync(path.join(root, "node_modules"), path.join(folder, "node_modules"), "dir");
  const wanted = new Set(files);
  for (const file of wanted) {
    const { code } = transformSync(readFileSync(path.join(root, "src", file), "utf8"), {
      filename: file,
      jsc: { target: "es2022", parser: { syntax: "typescript" } },
      module: { type: "commonjs" },
    });
    const target = path.join(folder, file.replace(/\.ts$/, ".js"));
    mkdirSync(path.dirname(target), { recursive: true });
    writeFileSync(target, code);
    for (const [, name] of code.matchAll(/\brequire\("(\.[^"]+)"\)/g)) {
      wanted.add(`${path.posix.join(path.posix.dirname(file), name as string)}.ts`);
    }
  }
  return folder;
}
