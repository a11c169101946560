// A lock on a folder: one file that names its holder by host, process id and the process's start time.
// A holder that died (SIGKILL, power cut) is found out by the next process, which takes the lock over. Whether a process of
// another host lives nothing here can tell: such a lock is taken over where it has a lease that ran out (lease.ts), else never.

import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { link, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { failure } from "../errors/errors";
import { isLeftover, temporaryPath } from "./atomic";
import { makeFolder } from "./folder";
import { parseJson } from "./json";
import { isRunOut, keepLease } from "./lease";
import { processStart } from "./process-start";
import { storageFailure } from "./storage-failure";

const lockName = ".flexbert.lock";
const UNREADABLE_MS = 2_000;

interface Holder {
  readonly host: string;
  readonly pid: number;
  /** When the process started, as the system counts; null where it does not say. */
  readonly start: string | null;
  readonly purpose: string;
  readonly token: string;
  /** Seconds between two signs of life that it gives; absent where it gives none. */
  readonly beat?: number;
}

/** Seconds between two signs of life. */
const BEAT = 20;

/** A folder's lock, or who has it. */
export type Claim = Held | { readonly heldBy: string };
export interface Held {
  readonly unlock: () => Promise<void>;
  /** Aborted when another process took the lock over: with a lease, after a time without a sign of life. */
  readonly lost: AbortSignal;
}

/**
 * Locks a folder, creating it if need be, and returns what unlocks it.
 * Throws failure (1) naming the process and the folder where a live process holds the lock.
 */
export async function lockFolder(folder: string, purpose: string): Promise<() => Promise<void>> {
  const claim = await tryLockFolder(folder, purpose);
  if ("unlock" in claim) return claim.unlock;
  throw failure(claim.heldBy);
}

/**
 * As lockFolder, but says who holds the lock where a live process does: "FOLDER is in use by process 42 (...). ..."
 * @param beat seconds between signs of life, for who heeds `lost`: other hosts then take it over from a dead holder
 */
export async function tryLockFolder(folder: string, purpose: string, beat?: number): Promise<Claim> {
  const file = path.join(folder, lockName);
  const own: Holder = {
    host: os.hostname(),
    pid: process.pid,
    start: processStart(process.pid),
    purpose,
    token: randomUUID(),
    ...(beat === undefined ? {} : { beat }),
  };
  try {
    const holder = await acquire(file, own);
    return holder ? { heldBy: heldMessage(folder, file, holder) } : hold(file, own);
  } catch (error) {
    throw storageFailure(error, file, "cannot lock");
  }
}

/** As tryLockFolder, with a lease, for folders that several hosts share. */
export const tryLeaseFolder = (folder: string, purpose: string): Promise<Claim> => tryLockFolder(folder, purpose, BEAT);

function hold(file: string, { token, beat }: Holder): Held {
  const lost = new AbortController();
  const end = beat === undefined ? null : keepLease(file, token, beat, () => lost.abort());
  return {
    lost: lost.signal,
    async unlock() {
      end?.();
      await release(file, token);
    },
  };
}

/** Whether a live process holds the folder's lock. */
export const isLocked = async (folder: string): Promise<boolean> => (await lockHolder(folder)) !== null;

/** Who holds the folder's lock, as tryLockFolder says it; null where no live process does. */
export async function lockHolder(folder: string): Promise<string | null> {
  const file = path.join(folder, lockName);
  const holder = existsSync(file) ? await readHolder(file) : null;
  return holder !== null && (await isAlive(holder, file)) ? heldMessage(folder, file, holder) : null;
}

/** Whether a lock's holder, alive or not, has given no sign of life for as long as its lease lasts: it is suspended, say. */
export async function isSilent(folder: string): Promise<boolean> {
  const file = path.join(folder, lockName);
  const holder = existsSync(file) ? await readHolder(file) : null;
  return holder?.beat !== undefined && (await isRunOut(file, holder.beat));
}

/**
 * Removes what processes left that were killed while they locked or unlocked the folder: beginnings of lock files, and
 * guards of takeovers. For who holds the lock: nobody takes it over meanwhile, so a guard guards nothing.
 */
export async function removeLockLeftovers(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const file = path.join(folder, name);
    if (name.startsWith(`.${lockName}`) && isLeftover(name)) await rm(file, { force: true });
    if (!name.startsWith(`${lockName}-`)) continue;
    const holder = await readHolder(file);
    if (holder && !(await isAlive(holder, file))) await rm(file, { force: true });
  }
}

function heldMessage(folder: string, file: string, holder: Holder): string {
  const who = `process ${holder.pid}${holder.host === os.hostname() ? "" : ` on ${holder.host}`} (${holder.purpose})`;
  const next = holder.host === os.hostname() ? "Wait for it or stop it" : `If it is gone, remove ${file}`;
  return `${folder} is in use by ${who}. ${next}`;
}

/**
 * Takes the lock file, or returns its live holder. A dead holder's file is replaced only under a guard, which is a lock of
 * the same kind named after that holder's token: of all who saw the holder dead one gets the guard, and whoever
 * gets it later finds another token in the file and starts over. A process that dies holding a guard is itself a dead holder.
 */
async function acquire(file: string, own: Holder): Promise<Holder | null> {
  for (;;) {
    if (await createExclusively(file, JSON.stringify(own))) return null;
    const holder = await readHolder(file);
    if (!holder) continue;
    if (await isAlive(holder, file)) return holder;
    const guard = `${file}-${holder.token}`;
    const guardian: Holder = { ...own, token: randomUUID() };
    if (await acquire(guard, guardian)) {
      await sleep(10);
      continue;
    }
    try {
      if ((await readHolder(file))?.token === holder.token) {
        await replace(file, JSON.stringify(own));
        return null;
      }
    } finally {
      await release(guard, guardian.token);
    }
  }
}

/** Creates the file with all its content, or returns false where it exists. */
async function createExclusively(file: string, content: string): Promise<boolean> {
  const temporary = temporaryPath(file);
  // Its last holder may have removed it. Where it cannot be made (under /proc, say) trying again would not end.
  await makeFolder(path.dirname(file));
  try {
    await writeFile(temporary, content, { flag: "wx" });
    try {
      await link(temporary, file);
    } catch (error) {
      if (!["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"].includes(codeOf(error))) throw error;
      await writeFile(file, content, { flag: "wx" }); // a file system without hard links (exFAT, some network mounts)
    }
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST" || codeOf(error) === "ENOENT") return false;
    throw error;
  } finally {
    await rm(temporary, { force: true });
  }
}

async function replace(file: string, content: string): Promise<void> {
  const temporary = temporaryPath(file);
  await writeFile(temporary, content, { flag: "wx" });
  await rename(temporary, file);
}

async function release(file: string, token: string): Promise<void> {
  if ((await readHolder(file))?.token === token) await rm(file, { force: true });
}

/** The holder in a lock file, or null where there is none any more. */
async function readHolder(file: string): Promise<Holder | null> {
  let content = "";
  for (const deadline = Date.now() + UNREADABLE_MS; Date.now() < deadline; await sleep(20)) {
    try {
      content = await readFile(file, "utf8");
      const holder: Holder = Object(parseJson(content));
      if (isHolder(holder)) return holder;
    } catch (error) {
      if (codeOf(error) === "ENOENT") return null;
      if (!(error instanceof SyntaxError)) throw error;
    }
  }
  // Cut off in the middle of its one write: the writer is dead. Its token must be the same for all who find it so.
  return { host: os.hostname(), pid: 0, start: null, purpose: "", token: "unreadable" };
}

/** The token goes into a file's name. */
const isHolder = ({ host, pid, start, purpose, token, beat }: Holder): boolean =>
  [host, purpose].every((text) => typeof text === "string") &&
  (beat === undefined || (Number.isFinite(beat) && beat > 0)) &&
  (start === null || typeof start === "string") &&
  Number.isSafeInteger(pid) &&
  typeof token === "string" &&
  /^[^/\\\p{Cc}]{1,64}$/u.test(token);

async function isAlive({ host, pid, start, beat }: Holder, file: string): Promise<boolean> {
  const here = host === os.hostname();
  // Another boot of this machine, or another machine of the same name: containers and clones have them.
  const elsewhere = !here || (start !== null && bootOf(start) !== bootOf(processStart(process.pid) ?? start));
  if (elsewhere && beat !== undefined) return !(await isRunOut(file, beat));
  if (!here) return true;
  if (pid <= 0) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (codeOf(error) === "ESRCH") return false;
    // EPERM: it lives and is somebody else's, whose start a hardened /proc may hide.
    return start === null || (processStart(pid) ?? start) === start;
  }
  return start === null || processStart(pid) === start;
}

const codeOf = (error: unknown) => (error as NodeJS.ErrnoException).code ?? "";

/** The part of a process's start that is the same for all of a machine's since it booted. */
const bootOf = (start: string) => start.split("/")[0];
