// Generates a .gen.ts under src/compile for every .proto under src/compile, beside it. Run: npm run generate
// With --check it writes nothing and fails where a generated file is not what its source gives.
// The compiler (125 MB) is no dependency: npm exec fetches these versions into its cache. The plugin's is the runtime's.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

const SOURCES = "src/compile";
const TARGETS = "src/compile";
const { dependencies } = JSON.parse(readFileSync("package.json", "utf8"));
const packages = ["@bufbuild/buf@1.75.0", `@bufbuild/protoc-gen-es@${dependencies["@bufbuild/protobuf"]}`];

const check = process.argv.includes("--check");
const temporary = mkdtempSync(path.join(tmpdir(), "flexbert-generate-"));
try {
  process.exitCode = compare(compile(temporary)) > 0 && check ? 1 : 0;
} finally {
  rmSync(temporary, { recursive: true });
}

/** Runs the compiler; returns the folder that holds what it made. */
function compile(folder) {
  const out = path.join(folder, "out");
  const template = path.join(folder, "buf.gen.yaml");
  const plugin = { local: "protoc-gen-es", out, opt: ["target=ts", "erasable_syntax=true"] };
  writeFileSync(template, JSON.stringify({ version: "v2", plugins: [plugin] }));
  const command = `npm exec --yes ${packages.map((name) => `--package=${name}`).join(" ")} -- buf generate ${SOURCES} --template "${template}"`;
  // One string through the shell, because npm is a .cmd file on Windows.
  const { status } = spawnSync(command, { stdio: "inherit", shell: true });
  if (status !== 0) throw new Error(`exit code ${status} from: ${command}`);
  return out;
}

/** Writes, or with --check reports, each file that differs from what was made; returns how many do. */
function compare(folder) {
  const made = readdirSync(folder, { recursive: true }).filter((file) => file.endsWith("_pb.ts"));
  if (made.length === 0) throw new Error(`no .proto gave a file under ${SOURCES}: run this in the project's folder`);
  let stale = 0;
  for (const file of made) {
    // The plugin's names end in _pb, in imports between its files too; the linter knows generated files by .gen.ts.
    const text = readFileSync(path.join(folder, file), "utf8").replaceAll(/(from "\.[^"]*)_pb"/g, '$1.gen"');
    const target = path.join(TARGETS, file.replace(/_pb\.ts$/, ".gen.ts"));
    const current = existsSync(target) ? readFileSync(target, "utf8") : "";
    if (current === text) continue;
    stale++;
    if (check) {
      console.error(`${target} is not what its .proto gives. Run: npm run generate`);
    } else {
      mkdirSync(path.dirname(target), { recursive: true });
      writeFileSync(target, text);
      console.log(target);
    }
  }
  return stale;
}
