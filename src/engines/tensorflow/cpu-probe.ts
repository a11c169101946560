// Some virtual machines announce AMX and fault on it: oneDNN then ends the process with an illegal instruction, which
// nothing can catch. So TensorFlow multiplies a matrix in a child process first, with ever older instructions until one
// lives, and the result is kept for this machine and this library.

import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { writeFileAtomic } from "../../files/atomic";
import { cacheFolder } from "../../files/cache";
import { runChild } from "../../files/child";
import { cpuFlags } from "../../files/cpu-flags";
import { makeFolder } from "../../files/folder";
import { sha256Hex } from "../../files/hash";
import { parseJson } from "../../files/json";

/** oneDNN's own switch; it is read when the first product runs. */
export const ISA_VARIABLE = "ONEDNN_MAX_CPU_ISA";
const olderIsas = ["AVX512_CORE_BF16", "AVX512_CORE", "AVX2"];

/** Signals that older instructions may avoid. Others come from outside: Ctrl-C, no memory, no time. */
const faults: ReadonlySet<NodeJS.Signals> = new Set(["SIGILL", "SIGSEGV", "SIGBUS", "SIGFPE", "SIGABRT", "SIGTRAP"]);

export interface Probe {
  /** What ISA_VARIABLE has to be, or null where no limit is needed. */
  readonly isa: string | null;
  readonly tensorflow: string;
}

/** float32 and bfloat16 products: the second is what AMX serves. Straight on the addon, without tfjs. */
const script = `
  const b = require(process.argv[1]);
  const n = 64;
  const type = (name, value) => ({ name, type: b.TF_ATTR_TYPE, value });
  const no = (name) => ({ name, type: b.TF_ATTR_BOOL, value: false });
  const BFLOAT16 = 14;
  const run = (op, attributes, ids) => b.executeOp(op, attributes, ids, 1)[0].id;
  const cast = (id, from, to) => run("Cast", [type("SrcT", from), type("DstT", to), no("Truncate")], [id]);
  const square = (id, t) => run("MatMul", [no("transpose_a"), no("transpose_b"), type("T", t)], [id, id]);
  const x = b.createTensor([n, n], b.TF_FLOAT, new Float32Array(n * n).fill(0.5));
  const plain = b.tensorDataSync(square(x, b.TF_FLOAT));
  const half = b.tensorDataSync(cast(square(cast(x, b.TF_FLOAT, BFLOAT16), BFLOAT16), BFLOAT16, b.TF_FLOAT));
  if (plain[0] !== n / 4 || half[n] !== n / 4) throw new Error("a product is wrong: " + plain[0] + ", " + half[n]);
  require("node:fs").writeSync(1, JSON.stringify({ tensorflow: b.TF_Version }));
`;

/** Runs the addon in child processes. The GPU is hidden from them: it is the CPU that is asked. */
export async function probeAddon(addon: string, signal?: AbortSignal): Promise<Probe | { readonly problem: string }> {
  const chosen = process.env[ISA_VARIABLE];
  const isas = chosen === undefined ? [null, ...olderIsas] : [null];
  let problem = "";
  for (const isa of isas) {
    const env: NodeJS.ProcessEnv = { ...process.env, TF_CPP_MIN_LOG_LEVEL: "3", CUDA_VISIBLE_DEVICES: "-1" };
    delete env["NODE_OPTIONS"]; // a debugger or a preload of the parent's
    if (isa !== null) env[ISA_VARIABLE] = isa;
    const child = await runChild(process.execPath, ["-e", script, addon], {
      env,
      timeoutMs: 120_000,
      ...(signal ? { signal } : {}),
    });
    // Not all of stdout: oneDNN writes there too, where the user asks for it (ONEDNN_VERBOSE).
    const [, tensorflow] = /\{"tensorflow":"([^"]+)"\}/.exec(child.stdout) ?? [];
    if (child.code === 0 && tensorflow !== undefined) return { isa, tensorflow };
    if (child.signal === null) return { problem: lastLine(child.stderr) || `its test ended with ${child.code}` };
    if (!faults.has(child.signal)) return { problem: `TensorFlow's library was ended by ${child.signal}` };
    problem = `TensorFlow's library ends with ${child.signal} on this CPU${chosen ? ` with ${ISA_VARIABLE}=${chosen}` : ""}`;
  }
  return { problem };
}

function lastLine(stderr: string): string {
  const lines = stderr.split("\n").map((line) => line.trim());
  return lines.find((line) => /^(Error|TypeError):/.test(line))?.replace(/^\w+: /, "") ?? lines.findLast(Boolean) ?? "";
}

/** The probe of an addon, from the cache where this machine and library are known. */
export async function cachedProbe(addon: string, cache = cacheFolder()): Promise<Probe | { readonly problem: string }> {
  const file = path.join(cache, ".engines", "cpu", `${probeKey(addon)}.json`);
  const known = readProbe(file);
  if (known) return known;
  const found = await probeAddon(addon);
  if ("problem" in found) return found;
  try {
    await makeFolder(path.dirname(file));
    await writeFileAtomic(file, `${JSON.stringify(found)}\n`);
  } catch {
    // A cache that cannot be written costs half a second at each start, nothing more.
  }
  return found;
}

function readProbe(file: string): Probe | null {
  if (!existsSync(file)) return null;
  try {
    const { isa, tensorflow } = parseJson(readFileSync(file, "utf8")) as Partial<Probe>;
    const valid = typeof tensorflow === "string" && (isa === null || typeof isa === "string");
    return valid ? { isa, tensorflow } : null;
  } catch {
    return null;
  }
}

/** CPU with its flags, kernel, the user's own setting, addon and libraries: anything of these may change the answer. */
function probeKey(addon: string): string {
  const libraries = path.join(path.dirname(addon), "tensorflow"); // of a build; one that is damaged must not be loaded
  const names = existsSync(libraries) ? readdirSync(libraries).sort() : [];
  const files = [addon, ...names.map((name) => path.join(libraries, name))].map((file) => {
    const { size, mtimeMs } = statSync(file);
    return [file, size, mtimeMs];
  });
  const parts = [os.cpus()[0]?.model, cpuFlags(), os.release(), process.env[ISA_VARIABLE] ?? "", files];
  return sha256Hex(JSON.stringify(parts)).slice(0, 16);
}
