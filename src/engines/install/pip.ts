// Wheels through pip of any Python from 3.9 on, so that index, mirrors, proxies, credentials and certificates are as the
// user has them set up. pip is asked in two steps: what it would take, with the hash that the index announces, and then
// for exactly that file. Python itself runs nothing of a wheel, and is not needed afterwards.

import { existsSync } from "node:fs";
import { readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { failure, usageError } from "../../errors/errors";
import { type ChildOutcome, runChild } from "../../files/child";
import { makeFolder } from "../../files/folder";
import { sha256File } from "../../files/hash";
import { parseJson } from "../../files/json";

export interface Python {
  /** As it is run: "python3". */
  readonly command: string;
  readonly version: readonly [number, number];
  readonly pip: string;
}

const commands = ["python3", "python", ...[14, 13, 12, 11, 10, 9].map((minor) => `python3.${minor}`)];
/** `pip install --report`, which names files and hashes, came with 22.2. */
const OLDEST_PIP = [22, 2] as const;

/** A Python that will not do, and the step that would make it do; null where only another one will. */
export interface UnfitPython {
  readonly why: string;
  readonly remedy: string | null;
  readonly lacksPip: boolean;
}

/** The first Python on PATH with a pip that is new enough, or else what was found instead. */
export async function findPython(signal?: AbortSignal): Promise<Python | { readonly found: readonly UnfitPython[] }> {
  const found: UnfitPython[] = [];
  for (const command of commands) {
    const python = await inspect(command, signal);
    if (python === null) continue;
    if (!("why" in python)) return python;
    found.push(python);
  }
  return { found };
}

async function inspect(command: string, signal?: AbortSignal): Promise<Python | UnfitPython | null> {
  // One string: Python 2 would print two values as a tuple.
  const asked = await tryRun(command, ["-c", "import sys; print('%d %d' % sys.version_info[:2])"], signal);
  const [major, minor] = (asked?.stdout ?? "").trim().split(" ").map(Number);
  if (asked?.code !== 0 || major === undefined || minor === undefined || !Number.isInteger(minor)) return null;
  const unfit = (why: string, remedy: string | null, lacksPip = false): UnfitPython => ({ why, remedy, lacksPip });
  if (major !== 3 || minor < 9) return unfit(`${command} is ${major}.${minor}`, null);
  const pip = await tryRun(command, ["-m", "pip", "--version"], signal);
  const version = /^pip (\d+)\.(\d+)\S*/m.exec(pip?.stdout ?? "");
  if (pip?.code !== 0 || !version) {
    // A setting of the user's that pip cannot read stops it before it does anything.
    const said = `${pip?.stderr ?? ""}\n${pip?.stdout ?? ""}`.split("\n").filter((line) => line.trim() !== "");
    if (said.length === 0 || said.some((line) => /No module named pip/.test(line))) {
      return unfit(`${command} (${major}.${minor}) has no pip`, null, true);
    }
    return unfit(
      `the pip of ${command} (${major}.${minor}) does not run: ${said.slice(-4).join(" ").slice(0, 300)}`,
      `Mend pip's settings until this runs: ${command} -m pip --version`,
    );
  }
  const [first, second] = [Number(version[1]), Number(version[2])];
  if (first < OLDEST_PIP[0] || (first === OLDEST_PIP[0] && second < OLDEST_PIP[1])) {
    return unfit(`${command} has ${version[0].trim()}`, `Run: ${command} -m pip install --upgrade pip`);
  }
  return { command, version: [major, minor], pip: version[0].trim() };
}

async function tryRun(command: string, args: readonly string[], signal?: AbortSignal): Promise<ChildOutcome | null> {
  return runChild(command, args, { timeoutMs: 60_000, ...(signal ? { signal } : {}) }).catch(() => {
    signal?.throwIfAborted();
    return null;
  });
}

/** A wheel as the index describes it. */
export interface Wheel {
  readonly name: string;
  readonly version: string;
  readonly file: string;
  /** Null where the index announces none (a folder of wheels, for example). */
  readonly sha256: string | null;
  readonly requires: readonly string[];
}

/** The kind of machine and Python that wheels are for. */
export interface WheelTag {
  readonly python: string;
  readonly platforms: readonly string[];
}

export interface PipContext {
  readonly python: Python;
  /** Scratch of this installation; pip's own temporary files lie in it too, so that /tmp need not be large. */
  readonly work: string;
  readonly signal?: AbortSignal;
  /** Bytes of the wheel in hand; total is null where pip is too old to say (before 24.1). */
  readonly onProgress?: (file: string, received: number, total: number | null) => void;
}

/** No wheel for this tag, though the index answers. `versions` are those that it has for the tag. */
export class NoWheelError extends Error {
  readonly versions: readonly string[];

  constructor(requirement: string, versions: readonly string[]) {
    super(`pip's index has no wheel of ${requirement}`);
    this.name = "NoWheelError";
    this.versions = versions;
  }
}

function tagArguments({ python, platforms }: WheelTag): string[] {
  const abi = `cp${python.replace(".", "")}`;
  return [
    // Of the Python that runs pip, which is not the one that the tag is for: older pips mix them up.
    "--ignore-requires-python",
    ...["--implementation", "cp", "--python-version", python, "--abi", abi],
    ...platforms.flatMap((platform) => ["--platform", platform]),
  ];
}

/** What pip would install for the requirements, without dependencies. Throws NoWheelError, or failure (1). */
export async function resolveWheels(
  requirements: readonly string[],
  tag: WheelTag,
  context: PipContext,
): Promise<Wheel[]> {
  const report = path.join(context.work, "report.json");
  await rm(report, { force: true });
  const args = ["install", "--dry-run", "--ignore-installed", "--no-deps", "--only-binary=:all:"];
  const target = ["--target", path.join(context.work, "target"), "--report", report];
  await pip([...args, ...target, ...tagArguments(tag), ...requirements], requirements.join(", "), context);
  const content = await readFile(report, "utf8").catch((error) => {
    throw failure(`${context.python.pip} wrote no report of ${requirements.join(", ")}. Upgrade pip`, error);
  });
  const { install } = parseJson(content) as { install: readonly ReportedWheel[] };
  return install.map(toWheel);
}

interface ReportedWheel {
  readonly download_info: {
    readonly url: string;
    readonly archive_info?: { readonly hash?: string; readonly hashes?: { readonly sha256?: string } };
  };
  readonly metadata: { readonly name: string; readonly version: string; readonly requires_dist?: readonly string[] };
}

function toWheel({ download_info: { url, archive_info: archive }, metadata }: ReportedWheel): Wheel {
  const file = path.posix.basename(decodeURIComponent(new URL(url).pathname));
  if (!/^[\w.+!-]+\.whl$/.test(file)) throw failure(`pip names ${url}, which is no wheel`);
  const sha256 = archive?.hashes?.sha256 ?? /^sha256=([0-9a-f]{64})$/.exec(archive?.hash ?? "")?.[1] ?? null;
  return { name: metadata.name, version: metadata.version, file, sha256, requires: metadata.requires_dist ?? [] };
}

/**
 * Brings a wheel into a folder and returns its path. One that lies there whole, from a stopped attempt, is taken as it
 * is. Throws failure (1) where its hash is not the one that the index announces.
 */
export async function downloadWheel(wheel: Wheel, folder: string, tag: WheelTag, context: PipContext): Promise<string> {
  const file = path.join(folder, wheel.file);
  const pinned = `${wheel.name}==${wheel.version}`;
  if (existsSync(file)) {
    if (wheel.sha256 !== null && (await sha256File(file)) === wheel.sha256) return file;
    await rm(file);
  }
  await makeFolder(folder);
  const list = path.join(context.work, "requirements.txt");
  await writeFile(list, wheel.sha256 === null ? `${pinned}\n` : `${pinned} --hash=sha256:${wheel.sha256}\n`);
  const hashes = wheel.sha256 === null ? [] : ["--require-hashes"];
  const args = ["download", "--no-deps", "--only-binary=:all:", ...hashes, "--dest", folder, ...tagArguments(tag)];
  await pip([...args, ...progressArguments(context.python), "--requirement", list], pinned, context, (text) => {
    const [, received, total] = /Progress (\d+) of (\d+)\s*$/.exec(text) ?? [];
    if (received !== undefined) context.onProgress?.(wheel.file, Number(received), Number(total));
  });
  if (!existsSync(file)) throw failure(`pip brought no ${wheel.file}. Run the same command again`);
  const found = await sha256File(file);
  if (wheel.sha256 !== null && found !== wheel.sha256) {
    await rm(file);
    throw failure(
      `${wheel.file} has the sha256 ${found}, and the index announces ${wheel.sha256}. It was removed. Run: ${context.python.command} -m pip cache purge, and install again`,
    );
  }
  return file;
}

/** Lines of numbers, which pip writes since 24.1; older ones draw for terminals only. */
function progressArguments({ pip: version }: Python): string[] {
  const [major = 0, minor = 0] = version.replace(/^pip /, "").split(".").map(Number);
  return ["--progress-bar", major > 24 || (major === 24 && minor >= 1) ? "raw" : "off"];
}

/** Settings of a user's that contradict the options here; and twice verbose, which tells why an index is passed over. */
const pipSettings = {
  PIP_USER: "0",
  PIP_REQUIRE_VIRTUALENV: "0",
  PIP_REQUIRE_HASHES: "0",
  PIP_QUIET: "0",
  PIP_VERBOSE: "2",
} as const;

async function pip(
  args: readonly string[],
  what: string,
  { python, work, signal }: PipContext,
  onStdout?: (text: string) => void,
): Promise<void> {
  const temporary = path.join(work, "tmp");
  await makeFolder(temporary);
  const outcome = await runChild(python.command, ["-m", "pip", ...args, "--no-input", "--disable-pip-version-check"], {
    env: { ...process.env, TMPDIR: temporary, ...pipSettings },
    ...(signal ? { signal } : {}),
    ...(onStdout ? { onStdout } : {}),
  }).finally(() => rm(temporary, { recursive: true, force: true }));
  if (outcome.code !== 0) throw explainPip(outcome, what, python);
}

/** What pip's output means, as one line. */
function explainPip({ stderr, stdout, signal, code }: ChildOutcome, what: string, python: Python): Error {
  const said = `${stdout}\n${stderr}`;
  const settings = `Run: ${python.command} -m pip config list`;
  if (/No space left on device|Disk quota exceeded/i.test(said)) {
    return failure(`the disk is full: pip cannot fetch ${what}. Free some space and run the same command again`);
  }
  if (/DO NOT MATCH THE HASHES/i.test(said)) {
    const got = /Got\s+([0-9a-f]{64})/.exec(said)?.[1];
    const expected = /Expected sha256 ([0-9a-f]{64})/.exec(said)?.[1];
    return failure(
      `pip brought a file of ${what} with a wrong hash, altered or cut short${got ? ` (sha256 ${got}${expected ? `, the index announces ${expected}` : ""})` : ""}. It was removed. Run: ${python.command} -m pip cache purge, and install again; if it stays, the mirror is wrong`,
    );
  }
  const passedOver = passedOverIndex(said);
  if (passedOver) {
    return failure(
      `pip cannot ask for ${what}: ${passedOver.url} does not answer as an index (${passedOver.reason}). Check the network, the proxy (HTTPS_PROXY) and pip's index. ${settings}`,
    );
  }
  const network = /connection broken by '|ConnectionError|ReadTimeoutError|SSLError|ProxyError/i;
  const transfer = /HTTP error (40[137]|5\d\d)|IncompleteRead|Read timed out|not a trusted or secure host/i;
  // At the end, not on the way: an index may well answer 404 for a package that another one has.
  const refused = /^ERROR: .*\b\d{3} (Client|Server) Error/m;
  if ([network, transfer, refused].some((pattern) => pattern.test(said))) {
    return failure(
      `pip cannot fetch ${what} (${lastError(said)}). Check the network, the proxy (HTTPS_PROXY) and pip's index. ${settings}`,
    );
  }
  const versions = /from versions: ([^)]*)\)/.exec(said)?.[1];
  if (versions !== undefined || /No matching distribution found/.test(said)) {
    return new NoWheelError(what, versions && versions !== "none" ? versions.split(/,\s*/) : []);
  }
  if (/Invalid requirement/i.test(said)) return usageError(`pip takes ${what} for no version. Give one such as 2.21.0`);
  const how = signal === null ? `ended with ${code}` : `was ended by ${signal}`;
  return failure(`pip cannot fetch ${what}: it ${how} (${lastError(said)}). ${settings}`);
}

/**
 * An index that could not be asked: pip goes on without it, and says at the end that there is no such version. One
 * that answers 404 is left out: it does not have the package.
 */
function passedOverIndex(said: string): { readonly url: string; readonly reason: string } | null {
  for (const [, url = "", reason = ""] of said.matchAll(/Could not fetch URL (\S+): (.*) - skipping$/gm)) {
    if (/^404 Client Error/.test(reason)) continue;
    // 'Cannot connect to proxy.', NewConnectionError('<...>: Failed to establish ...'
    const cause = /\(Caused by \w+\((.*?)\)+$/.exec(reason)?.[1]?.replace(/<[^>]*>: /g, "");
    const plain = cause?.replace(/['"], \w+\(['"]/g, " ").replace(/^['"]|['"]$/g, "");
    return { url, reason: (plain || reason).replace(/ for url: \S+$/, "").slice(0, 300) };
  }
  return null;
}

/** pip's last line of error, without its prefix. */
function lastError(said: string): string {
  const lines = said.split("\n").filter((line) => line.trim() !== "");
  const errors = lines.filter((line) => /^(ERROR|WARNING): (?!Exception:|ResolutionImpossible:)/.test(line));
  // Retries are warnings that name the reason; the error at the end only says that nothing was found.
  const retried = errors.map((line) => /connection broken by '(.*)': \S+$/.exec(line)?.[1]).findLast(Boolean);
  const ignored = errors.find((line) => /not a trusted or secure host/.test(line));
  const line = retried?.replace(/<[^>]*>: /g, "") ?? ignored ?? errors.at(-1) ?? lines.at(-1) ?? "it says nothing";
  return line
    .replace(/^(ERROR|WARNING):\s*/, "")
    .trim()
    .replace(/\.$/, "")
    .slice(0, 300);
}
