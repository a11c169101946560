// Compiles tfjs-node's addon against TensorFlow's C library: one call of the C++ compiler, no node-gyp. Node-API 8, so
// one build serves Node 20, 22 and 24.

import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { failure } from "../../../errors/errors";
import { runChild } from "../../../files/child";
import { makeFolder } from "../../../files/folder";
import { onPath } from "../../install/system-packages";
import { stderrSwitchSource } from "../stderr-switch";

export interface Compiler {
  /** Program and leading arguments: CXX may be "ccache g++". */
  readonly command: readonly string[];
  /** First line of --version. */
  readonly version: string;
}

/** CXX, or the first of c++, g++ and clang++ that runs; null where none does. */
export async function findCompiler(signal?: AbortSignal): Promise<Compiler | null> {
  const named = process.env["CXX"]?.trim();
  for (const candidate of named ? [named] : ["c++", "g++", "clang++"]) {
    const [program = "", ...rest] = candidate.split(/\s+/);
    const limits = { timeoutMs: 60_000, ...(signal ? { signal } : {}) };
    const asked = await runChild(program, [...rest, "--version"], limits).catch(() => null);
    signal?.throwIfAborted();
    if (asked?.code === 0) return { command: [program, ...rest], version: asked.stdout.split("\n")[0]?.trim() ?? "" };
  }
  if (named) throw failure(`the compiler that CXX names does not run: ${named}. Name another one, or unset CXX`);
  return null;
}

const HEADERS_PACKAGE = "node-api-headers@1.9.0";

/** The folder of Node's own node_api.h, where this machine has it. */
export function localNodeHeaders(): string | null {
  const beside = path.resolve(process.execPath, "..", "..", "include", "node");
  return [beside, "/usr/include/node", "/usr/include/nodejs/src"].find(hasNodeApi) ?? null;
}

const hasNodeApi = (folder: string) => ["node_api.h", "js_native_api.h"].every((f) => existsSync(path.join(folder, f)));

export const hasNpm = () => onPath("npm") !== null;

/** Node-API's headers from the npm registry; npm compares them with the registry's hash. */
export async function fetchNodeHeaders(work: string, signal?: AbortSignal): Promise<string> {
  const folder = path.join(work, "headers");
  await makeFolder(folder);
  // A manifest of its own: npm would else climb to the nearest one.
  await writeFile(path.join(folder, "package.json"), "{}\n");
  const args = ["install", "--prefix", folder, "--no-save", "--no-package-lock", "--ignore-scripts", "--no-audit"];
  const { code, stderr } = await runChild("npm", [...args, "--no-fund", "--loglevel=error", HEADERS_PACKAGE], {
    cwd: folder,
    ...(signal ? { signal } : {}),
  });
  const found = path.join(folder, "node_modules", "node-api-headers", "include");
  if (code === 0 && hasNodeApi(found)) return found;
  const line =
    stderr.split("\n").find((said) => /^npm (error|ERR!)/.test(said) && !/code E/.test(said)) ?? `exit ${code}`;
  throw failure(
    `npm cannot fetch ${HEADERS_PACKAGE}, Node's C headers (${line.replace(/^npm (error|ERR!)\s*/, "").trim()}). Check npm's registry and proxy`,
  );
}

export interface AddonSources {
  /** The folder of @tensorflow/tfjs-node-gpu: its binding/ is compiled. */
  readonly package: string;
  readonly nodeHeaders: string;
  readonly tensorflowHeaders: string;
  /** The build's folder: holds tensorflow/, gets the addons. */
  readonly build: string;
}

export const ADDON = "tfjs_binding.node";
export const STDERR_SWITCH = "stderr_switch.node";

/** Writes both addons into the build's folder. Throws failure (1) with the compiler's first error. */
export async function compileAddons(compiler: Compiler, sources: AddonSources, work: string, signal?: AbortSignal) {
  const { package: folder, nodeHeaders, tensorflowHeaders, build } = sources;
  const libraries = path.join(build, "tensorflow");
  const common = ["-std=c++17", "-shared", "-fPIC", "-DNAPI_VERSION=8", `-I${nodeHeaders}`];
  const addon = ["tfjs_backend.cc", "tfjs_binding.cc"].map((file) => path.join(folder, "binding", file));
  const linked = ["-l:libtensorflow_cc.so.2", "-l:libtensorflow_framework.so.2", "-Wl,-rpath,$ORIGIN/tensorflow"];
  const includes = [`-I${folder}`, `-I${tensorflowHeaders}`];
  const out = (name: string) => ["-o", path.join(build, name)];
  await compile(
    compiler,
    ["-O2", ...common, ...includes, ...addon, ...out(ADDON), `-L${libraries}`, ...linked],
    signal,
  );
  const source = path.join(work, "stderr_switch.cc");
  await writeFile(source, stderrSwitchSource);
  await compile(compiler, ["-O1", ...common, source, ...out(STDERR_SWITCH)], signal);
}

async function compile({ command, version }: Compiler, args: readonly string[], signal?: AbortSignal): Promise<void> {
  const [program = "", ...rest] = command;
  const { code, signal: ended, stderr } = await runChild(program, [...rest, ...args], signal ? { signal } : {});
  if (code === 0) return;
  const lines = stderr.split("\n").filter((line) => line.trim() !== "");
  const first = lines.find((line) => /\berror\b|undefined reference|No space left/i.test(line)) ?? lines.at(-1) ?? "";
  if (/No space left|Disk quota exceeded/i.test(stderr)) {
    throw failure(
      `the disk is full: ${command.join(" ")} cannot write (${first.trim().slice(0, 300)}). Free some space there, or name another folder for temporary files in TMPDIR, and run the same command again`,
    );
  }
  const how = ended ? `was ended by ${ended}` : `ended with ${code}`;
  throw failure(
    `${command.join(" ")} (${version}) ${how}: ${first.trim().slice(0, 300)}. It needs C++17; name another compiler in CXX`,
  );
}
