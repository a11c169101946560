// Trunk activations that processes of one machine share through a folder on its own disk: trials of an array of jobs, shares of
// an experiment. One computes, the others read; bits are those of their own, because a file's name is a hash of all that they
// come from. A file counts when it is whole (renamed) and is compared with its checksum before it is read. What is in the
// folder may be removed at any time.

import { createHash } from "node:crypto";
import { lstat, mkdir, open, readdir, rename, rm, rmdir, stat, utimes } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { EncodedRows } from "../../batches/rows";
import type { Engine } from "../../engines/engine";
import { oneLine } from "../../errors/errors";
import { formatBytes, freeBytes, temporaryPath } from "../../files/atomic";
import { makeFolder } from "../../files/folder";
import { canonicalJson } from "../../files/hash";
import { isSilent, tryLockFolder } from "../../files/lock";
import { processStart } from "../../files/process-start";
import { packageVersion } from "../../files/version";
import { Interrupted } from "../../messages/reporter";
import type { RunContext } from "../tracking/tracker";
import { type ActivationStore, storeBytes } from "./activation-store";
import { check, openThere, readOnly, recordOf, SMALL, writeRows } from "./trunk-file";

/** Seconds between signs of life of who computes: who waits goes on alone after fifteen that did not come. */
const BEAT = 2;
const POLL_MS = 200;

/** What was not opened for a day goes; where the disk is short, what was not opened for an hour. */
const DAY_MS = 24 * 3_600_000;
const HOUR_MS = 3_600_000;

/** Activations that another process computed. */
export interface FoundActivations {
  readonly fork: number;
  /** Read alone. */
  readonly store: ActivationStore;
  /** That computing them took. */
  readonly seconds: number;
}

/** One process's turn at the activations under a fork. */
export interface Turn {
  /** Under the deepest fork at or below the one asked for that is there and quicker to read than to compute. */
  readonly found: FoundActivations | null;
  /** Lays them there for the others, where it is this process that computes for them and where that pays. */
  publish(store: ActivationStore, seconds: number): Promise<void>;
  end(): Promise<void>;
}

/** The activations of one split on this machine. */
export interface SharedActivations {
  /** @param depth layers that this process has passed itself; null for none */
  ask(fork: number, depth: number | null): Promise<Turn>;
}

/** The folder of a user in the one that was given; null where there can be none, which is said. */
export async function openNodeCache(given: string, { reporter }: Pick<RunContext<Engine>, "reporter">) {
  const uid = process.getuid?.();
  const folder = path.join(given, `flexbert-trunk${uid === undefined ? "" : `-${uid}`}`);
  try {
    await makeFolder(given);
    await mkdir(folder, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    });
    // In /tmp anybody may have made it: what others may write decides no weights.
    const found = await lstat(folder);
    const own = uid === undefined || (found.uid === uid && (found.mode & 0o022) === 0);
    if (!found.isDirectory() || !own) throw new Error("it is not this user's alone");
    await removeUnused(folder, DAY_MS);
    return folder;
  } catch (error) {
    reporter.warn(`--node-cache ${given}: ${oneLine(error)}: trunk activations are not shared`);
    return null;
  }
}

/**
 * @param folder as openNodeCache made it
 * @param base its hash
 * @param label "rte train"
 */
export function sharedActivations(
  folder: string,
  { base, rows, hidden, batchSize }: { base: string; rows: EncodedRows; hidden: number; batchSize: number },
  label: string,
  { engine, reporter, signal }: RunContext<Engine>,
): SharedActivations {
  const key = keyOf({ base, hidden, batchSize }, rows, engine);
  const bytes = storeBytes(rows.lengths, hidden);
  const fileOf = (fork: number) => path.join(folder, `${key}-${fork}.trunk`);

  const take = async (fork: number, depth: number | null): Promise<FoundActivations | null> => {
    const file = fileOf(fork);
    const handle = await openThere(file);
    if (!handle) return null;
    try {
      const record = await recordOf(handle, bytes);
      // Where this process stands some layers below, it has those alone to compute.
      const own = depth === null ? record.seconds : (record.seconds * (fork - depth)) / fork;
      if (bytes > SMALL && own < record.writing) {
        await handle.close();
        return null;
      }
      await check(handle, record, signal);
      const now = new Date();
      await utimes(file, now, now).catch(() => undefined); // it may just have been removed: it is open
      reporter.log(`${label}: trunk activations under fork ${fork} are another process's, in ${file}`);
      return { fork, seconds: record.seconds, store: readOnly(handle, rows.lengths, hidden, file) };
    } catch (error) {
      await handle.close();
      if (error instanceof Interrupted) throw error;
      reporter.warn(`${file} cannot be used (${oneLine(error)}): it is removed, and computed again`);
      await rm(file, { force: true });
      return null;
    }
  };
  const deepest = async (fork: number, depth: number | null): Promise<FoundActivations | null> => {
    for (let under = fork; under > (depth ?? 0); under--) {
      const found = await take(under, depth);
      if (found) return found;
    }
    return null;
  };
  const alone = (found: FoundActivations | null): Turn => {
    return { found, publish: async () => undefined, end: async () => undefined };
  };

  return {
    async ask(fork, depth) {
      const toldOf = (heldBy: string) => {
        reporter.log(`${label}: waiting for trunk activations under fork ${fork}: ${heldBy}`);
        return heldBy;
      };
      const claimed = path.join(folder, `${key}-${fork}.claim`);
      let waitsFor: string | null = null;
      for (;;) {
        const whole = await take(fork, depth);
        if (whole) return alone(whole);
        const claim = await tryLockFolder(claimed, `${label}, fork ${fork}`, BEAT);
        if ("unlock" in claim) {
          const end = async () => {
            await claim.unlock();
            await rmdir(claimed).catch(() => undefined); // another's, by now
          };
          const publish = (store: ActivationStore, seconds: number) =>
            write({ file: fileOf(fork), folder, store, rows, hidden, seconds, label }, { reporter, signal });
          try {
            // Whoever had the claim before may have ended between the two looks.
            const found = await deepest(fork, depth);
            return found?.fork === fork ? { ...alone(found), end } : { found, publish, end };
          } catch (error) {
            await end();
            throw error;
          }
        }
        // Who began earlier ends earlier. Not who is suspended; nor the next, where one was killed or had nothing to share.
        const isNext = waitsFor !== null && waitsFor !== claim.heldBy;
        if (isNext || (await isSilent(claimed))) return alone(await deepest(fork, depth));
        waitsFor ??= toldOf(claim.heldBy);
        await sleep(POLL_MS, undefined, { signal }).catch(() => undefined);
        if (signal.aborted) throw new Interrupted(null);
      }
    },
  };
}

/** Variables of the environment that change what the engines' libraries compute with. */
const ofLibraries = /^(FLEXBERT_TENSORFLOW|TF_|XLA_|ONEDNN_|DNNL_|NVIDIA_TF32|ORT_|OMP_|MKL_)/;

/** Of all that decides the activations' bits: what computes, on which machine, the base, the rows and how they are cut. */
function keyOf(
  what: Readonly<Record<string, string | number>>,
  { ids, typeIds, lengths, padId }: EncodedRows,
  { summary, precision, threads }: Engine,
): string {
  // Of a machine since it booted: pods of one have names of their own.
  const machine = processStart(process.pid)?.split("/")[0] ?? os.hostname();
  const set = Object.fromEntries(Object.entries(process.env).filter(([name]) => ofLibraries.test(name)));
  const by = { format: 1, flexbert: packageVersion(), machine, engine: summary, precision, threads, set };
  const hash = createHash("sha256").update(canonicalJson({ ...by, ...what, padId }));
  hash.update(lengths);
  for (let row = 0; row < lengths.length; row++) {
    hash.update(ids.at(row) as Int32Array).update(typeIds.at(row) as Int32Array);
  }
  return hash.digest("hex").slice(0, 32);
}

interface Writing {
  readonly file: string;
  readonly folder: string;
  readonly store: ActivationStore;
  readonly rows: EncodedRows;
  readonly hidden: number;
  readonly seconds: number;
  readonly label: string;
}

/** Writes a file, unless the disk has no room or it would take longer to write and read than to compute. Fails with a warning alone. */
async function write(
  { file, folder, store, rows, hidden, seconds, label }: Writing,
  { reporter, signal }: Pick<RunContext<Engine>, "reporter" | "signal">,
): Promise<void> {
  const bytes = storeBytes(rows.lengths, hidden);
  const made = temporaryPath(file);
  try {
    if (!(await hasRoom(folder, bytes))) {
      reporter.log(`${label}: trunk activations are not shared: the disk of ${folder} has no room for them`);
      return;
    }
    const handle = await open(made, "wx", 0o600);
    try {
      const record = await writeRows(handle, store, rows.lengths, hidden, seconds, signal);
      if (record === null) {
        reporter.log(`${label}: trunk activations are not shared: ${folder} takes longer than computing them did`);
        return;
      }
      await rename(made, file);
      const took = `${seconds.toFixed(1)} s to compute, ${record.writing.toFixed(1)} s to write`;
      reporter.log(`${label}: ${formatBytes(bytes)} of trunk activations for others in ${file} (${took})`);
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof Interrupted) throw error;
    reporter.warn(`${label}: trunk activations are not shared: ${oneLine(error)}`);
  } finally {
    await rm(made, { force: true });
  }
}

/** Whether a file leaves as much free as it takes. Where it does not, what nobody has opened for an hour goes first. */
async function hasRoom(folder: string, bytes: number): Promise<boolean> {
  const enough = async () => ((await freeBytes(folder)) ?? Number.POSITIVE_INFINITY) >= 2 * bytes;
  if (await enough()) return true;
  await removeUnused(folder, HOUR_MS);
  return enough();
}

/** Removes what has not been opened, written or claimed for so long: nobody has it, or has it open and keeps it so. */
async function removeUnused(folder: string, age: number): Promise<void> {
  for (const name of await readdir(folder)) {
    const file = path.join(folder, name);
    const found = await stat(file).catch(() => null); // another may be removing too
    if (found && Date.now() - found.mtimeMs > age) await rm(file, { recursive: true, force: true });
  }
}
