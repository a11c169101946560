// Signs of life of a lock's holder: it writes its lock file again, in place and with the same bytes, so that the file's time moves
// by the clock of the file system, the server's where it is a network's. Who wants the lock compares that time with the
// same clock's now. Clocks of machines are compared nowhere.

import { open, rm, stat, writeFile } from "node:fs/promises";
import { temporaryPath } from "./atomic";
import { parseJson } from "./json";

/** Beats that may be missed: five minutes of 20 s. A machine that swaps or a file system that hangs is not dead. */
const MISSED = 15;

/**
 * Writes the lock file every `beat` seconds for as long as the token in it is the holder's own.
 * @param onLost called once, when it no longer is
 * @returns what ends it
 */
export function keepLease(file: string, token: string, beat: number, onLost: () => void): () => void {
  let writing = false;
  const timer = setInterval(async () => {
    if (writing) return;
    writing = true;
    const own = await renew(file, token).catch(() => true); // a disk that fails now may not the next time
    writing = false;
    if (own) return;
    clearInterval(timer);
    onLost();
  }, beat * 1000);
  timer.unref();
  return () => clearInterval(timer);
}

/** Whether the file was still its own. Read and written through one handle: whoever takes over puts another file there. */
async function renew(file: string, token: string): Promise<boolean> {
  let handle: Awaited<ReturnType<typeof open>>;
  try {
    handle = await open(file, "r+");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
  try {
    const content = await handle.readFile("utf8");
    if ((parseJson(content) as { token?: unknown }).token !== token) return false;
    await handle.write(content, 0, "utf8");
    return true;
  } finally {
    await handle.close();
  }
}

/** Whether a holder has given no sign of life for so long that it is dead. */
export async function isRunOut(file: string, beat: number): Promise<boolean> {
  const limit = MISSED * beat * 1000;
  const last = await timeOf(file);
  if (last === null) return false; // it was unlocked just now: whoever asks looks again
  // A lock that looks fresh by this machine's clock is not asked about further: many processes look every second.
  if (Math.abs(Date.now() - last) < limit / 2) return false;
  return (await nowAt(file)) - last > limit;
}

/** Opened, because NFS asks the server then; null for a file that is not there. */
async function timeOf(file: string): Promise<number | null> {
  try {
    const handle = await open(file, "r");
    try {
      return (await handle.stat()).mtimeMs;
    } finally {
      await handle.close();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}

/** The file system's clock: the time of a file that is written now. This machine's where none may be written. */
async function nowAt(file: string): Promise<number> {
  const made = temporaryPath(file);
  try {
    await writeFile(made, "", { flag: "wx" });
    return (await stat(made)).mtimeMs;
  } catch {
    return Date.now();
  } finally {
    await rm(made, { force: true }).catch(() => undefined);
  }
}
