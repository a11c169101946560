// The program alone, without what training and other platforms need: flexbert's own files, the packages that serving loads,
// and onnxruntime's library for one platform. An installation is twelve times as large.

import { existsSync, readdirSync, readFileSync, realpathSync } from "node:fs";
import path from "node:path";
import { engineError } from "../../errors/errors";
import { npmCommand } from "../../files/optional-packages";
import { copied, type PackedFile } from "./contents";

export interface Platform {
  readonly os: "linux" | "darwin" | "win32";
  readonly arch: "x64" | "arm64";
}

/** What each program loads, and what that asks for besides; test/serve/pack runs both with nothing else there. */
export const packagesOf = {
  /** The handler of a function: manifests, the model that tries the processor, and the engine. */
  function: ["zod", "@bufbuild/protobuf", "onnxruntime-node"],
  /** `flexbert serve`, and `flexbert predict` for a look into what is served. */
  server: [
    ...["commander", "picocolors", "cli-table3", "cli-progress", "yaml", "papaparse", "zod"],
    ...["fastify", "pino", "prom-client", "@bufbuild/protobuf", "onnxruntime-node", "@huggingface/tokenizers"],
  ],
} as const;

/** What a function loads besides, where its model's tokenizer is not WordPiece (src/tokenizer/models.ts). */
export const tokenizerPackages: readonly string[] = ["@huggingface/tokenizers"];

/** What a server on x86 loads besides, where the processor saturates products of bytes: int8 pieces are lowered there, in 7 bits. */
const loweringPackages: readonly string[] = ["@tensorflow/tfjs-core"];

/** What packages name and serving never loads: install scripts fetch other builds by it, or it is of other platforms. */
const unneeded: Readonly<Record<string, readonly string[]>> = {
  "onnxruntime-node": ["adm-zip", "global-agent"],
  "@tensorflow/tfjs-core": [
    ...["@types/long", "@types/offscreencanvas", "@types/seedrandom", "@webgpu/types"],
    ...["long", "node-fetch", "seedrandom"],
  ],
};

/** Of packages that bring the same code in several forms, the one that Node loads. */
const loaded: Readonly<Record<string, string>> = { "@tensorflow/tfjs-core": "dist/tf-core.node.js" };

const root = path.resolve(__dirname, "../../..");
const unread = /\.(d\.[cm]?ts|[cm]?ts|map|md|markdown|flow|tsbuildinfo)$/i;
const unreadFolders = /^(test|tests|__tests__|bench|benchmark|benchmarks|docs|examples?|\.github|script)$/;
const legal = /^(licen[cs]e|notice|copying|third-party)/i;

/** Files below a folder, by their place in it. */
function filesUnder(folder: string, isWanted: (place: string) => boolean): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)).replaceAll(path.sep, "/"))
    .filter(isWanted)
    .sort();
}

/** flexbert itself, below `under`: what is compiled, without the types of it. */
export function ownFiles(program: keyof typeof packagesOf, under: string): PackedFile[] {
  const isWanted = (place: string) => place.endsWith(".js") && (program === "server" || !place.startsWith("browser/"));
  const dist = filesUnder(path.join(root, "dist"), isWanted).map((place) => `dist/${place}`);
  const beside = [
    "package.json",
    "LICENSE",
    "THIRD-PARTY-LICENSES.md",
    ...(program === "server" ? ["bin/flexbert.js"] : []),
  ];
  return [...dist, ...beside].map((place) => copied(`${under}${place}`, path.join(root, place), "flexbert"));
}

/**
 * The packages of a program, and `more`, with all that they depend on, below node_modules/. Throws engineError (6) where onnxruntime-node
 * is not installed, or has no library for the platform.
 */
export function packageFiles(
  program: keyof typeof packagesOf,
  platform: Platform,
  more: readonly string[] = [],
): PackedFile[] {
  /** Where each package lies in the pack, and its folder here. */
  const placed = new Map<string, string>();
  const place = (name: string, dependent: string, within: string): void => {
    const folder = folderOf(name, dependent);
    const top = `node_modules/${name}`;
    const at = (placed.get(top) ?? folder) === folder ? top : `${within}/node_modules/${name}`;
    if (placed.get(at) === folder) return;
    placed.set(at, folder);
    const { dependencies = {} } = JSON.parse(readFileSync(path.join(folder, "package.json"), "utf8"));
    for (const needed of Object.keys(dependencies)) {
      if (!unneeded[name]?.includes(needed)) place(needed, folder, at);
    }
  };
  const lowering = program === "server" && platform.arch === "x64" ? loweringPackages : [];
  for (const name of [...packagesOf[program], ...lowering, ...more]) place(name, root, "");
  return [...placed].flatMap(([at, folder]) => filesOf(at, folder, platform));
}

/** As Node finds it: in the nearest node_modules above who asks. */
function folderOf(name: string, dependent: string): string {
  for (let folder = dependent; ; folder = path.dirname(folder)) {
    const candidate = path.join(folder, "node_modules", name);
    if (existsSync(path.join(candidate, "package.json"))) return realpathSync(candidate);
    if (folder === path.dirname(folder)) break;
  }
  if (name === "onnxruntime-node") {
    throw engineError(`onnxruntime-node is not installed, and the pack needs it. Run: ${npmCommand(name)}`);
  }
  throw engineError(`the package ${name} is not installed, and the pack needs it. Run: npm ci`);
}

function filesOf(at: string, folder: string, { os, arch }: Platform): PackedFile[] {
  const isRuntime = at.endsWith("/onnxruntime-node");
  const library = `bin/napi-v6/${os}/${arch}/`;
  const only = loaded[at.slice(at.lastIndexOf("node_modules/") + "node_modules/".length)];
  const isWanted = (place: string) => {
    const parts = place.split("/");
    if (legal.test(parts.at(-1) as string)) return true;
    if (only !== undefined) return place === only || place === "package.json";
    if (parts.includes("node_modules") || unread.test(place) || unreadFolders.test(parts[0] as string)) return false;
    return !isRuntime || !place.startsWith("bin/") || place.startsWith(library);
  };
  const files = filesUnder(folder, isWanted);
  if (isRuntime && !files.some((place) => place.startsWith(library))) {
    throw engineError(
      `onnxruntime-node has no library for ${os} ${arch} here: an npm that installs other platforms' files brings it. ` +
        `Run: ${npmCommand("onnxruntime-node")}`,
    );
  }
  return files.map((place) =>
    copied(`${at}/${place}`, path.join(folder, place), isRuntime ? "onnxruntime" : "packages"),
  );
}
