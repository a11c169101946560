// What of node_modules the CLI runs with: every package that dist/ names is loaded, and a hook writes down the files. Of small
// packages everything that is code comes along, because some load files late (pino its worker); of large ones these
// files alone, with WebAssembly and this platform's libraries.
//
//   node bench/gpu/modules.mjs [ROOT]      prints the files, relative to ROOT; needs Node 22.15 or later
import { existsSync, lstatSync, readdirSync, readFileSync, statSync } from "node:fs";
import module, { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { showUsage } from "../usage.mjs";

showUsage(import.meta.url);

/** A package of more bytes of code than this is large. */
const LARGE = 1e6;
const platform = path.join("linux", "x64");

/** Specifiers of packages in the compiled code: require("x") or import("x"). */
function packagesOf(dist) {
  const found = new Map();
  const files = readdirSync(dist, { recursive: true }).filter(
    (file) => file.endsWith(".js") && !file.startsWith("browser"),
  );
  for (const file of files) {
    const code = readFileSync(path.join(dist, file), "utf8");
    for (const [, how, name] of code.matchAll(/\b(require|import)\("([^"./][^":]*)"\)/g)) {
      if (!module.isBuiltin(name)) found.set(`${how} ${name}`, { how, name });
    }
  }
  return [...found.values()];
}

async function loadedFiles(root) {
  const loaded = new Set();
  module.registerHooks({
    load(url, context, next) {
      if (url.startsWith("file:")) loaded.add(fileURLToPath(url));
      return next(url, context);
    },
  });
  const main = path.join(root, "dist/cli/main.js");
  const require = createRequire(main);
  for (const { how, name } of packagesOf(path.join(root, "dist"))) {
    if (how === "require") require(name);
    // The same file as from dist/, where both lie under one node_modules; import has conditions of its own.
    else await import(import.meta.resolve(name));
  }
  return [...loaded].filter((file) => file.includes("/node_modules/"));
}

function packageFolder(file) {
  for (let folder = path.dirname(file); !folder.endsWith("node_modules"); folder = path.dirname(folder)) {
    // Some packages mark folders of theirs with a package.json that has a type alone.
    const described = path.join(folder, "package.json");
    if (existsSync(described) && JSON.parse(readFileSync(described, "utf8")).name !== undefined) return folder;
  }
  throw new Error(`${file} is in no package`);
}

const isCode = (file) => /\.(c?js|mjs|json|wasm|node)$|\.so(\.\d+)*$/.test(file) && !/\.min\.m?js$/.test(file);
const isForeign = (file) => /(^|\/)(linux|darwin|win32)\/(x64|arm64)\//.test(file) && !file.includes(`${platform}/`);
// At a package's top alone: further down a folder of such a name holds code (yaml/dist/doc).
const isBeside = (file) =>
  /^(test|tests|docs?|examples?|benchmarks?|\.github)\//.test(file) || /(^|\/)node_modules\//.test(file);

function filesOf(folder, loaded) {
  const files = readdirSync(folder, { recursive: true }).filter(
    (file) => lstatSync(path.join(folder, file)).isFile() && isCode(file) && !isForeign(file) && !isBeside(file),
  );
  const bytes = files
    .filter((file) => /js$/.test(file))
    .reduce((sum, file) => sum + statSync(path.join(folder, file)).size, 0);
  if (bytes <= LARGE) return files;
  return files.filter(
    (file) =>
      loaded.has(path.join(folder, file)) || path.basename(file) === "package.json" || /\.(wasm|node)$|\.so/.test(file),
  );
}

const root = path.resolve(process.argv[2] ?? ".");
const loaded = new Set(await loadedFiles(root));
const folders = new Set([...loaded].map(packageFolder));
// Foreign functions come in two packages: the second is this platform's library.
for (const name of ["koffi", "@koromix/koffi-linux-x64"]) {
  const folder = path.join(root, "node_modules", name);
  if (existsSync(folder)) folders.add(folder);
}
const files = [...folders].flatMap((folder) => filesOf(folder, loaded).map((file) => path.join(folder, file)));
const taken = new Set(files);
const left = [...loaded].filter((file) => !taken.has(file));
if (left.length > 0) throw new Error(`the CLI loads files that would be left out: ${left.join(", ")}`);
const list = JSON.stringify([...taken].map((file) => path.relative(root, file)).sort());
// Not at once: onnxruntime keeps threads, and a pipe takes its time.
process.stdout.write(list, () => process.exit(0));
