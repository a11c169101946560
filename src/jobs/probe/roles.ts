// What each of the probe's two processes does. They meet by files: `first-N` and `second-N` say that a role has come to round N.

import { link, open, readdir, readFile, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { failure } from "../../errors/errors";
import { makeFolder } from "../../files/folder";

export type Role = "first" | "second";

export interface Finding {
  readonly what: string;
  /** null where it is as it must be. */
  readonly problem: string | null;
}

/** Files that both want to create, renames that one watches, and writes whose times it sees. */
const RACES = 100;
const RENAMES = 100;
const BEATS = 5;

/** Bytes of a file that is renamed: more than one write of a network file system. */
const SIZE = 2 ** 18;

/** Milliseconds: NFS keeps what it knows of a folder for up to a minute. */
const PATIENCE = 90_000;

/** Milliseconds by which two files' times may differ that were written together: what a lease of two minutes can bear. */
const SKEW = 10_000;

/** Plays a role in the folder where both meet; the second's answer is empty, the first's complete. */
export async function runRole(meeting: string, role: Role, signal: AbortSignal): Promise<readonly Finding[]> {
  await makeFolder(meeting);
  const other: Role = role === "first" ? "second" : "first";
  let round = 0;
  const meet = async () => {
    await writeFile(path.join(meeting, `${role}-${round}`), "");
    await appears(meeting, `${other}-${round}`, signal);
    round++;
  };
  const tell = (name: string, said: unknown) => publish(path.join(meeting, name), JSON.stringify(said));
  const hear = async <T>(name: string): Promise<T> => {
    await appears(meeting, name, signal);
    return JSON.parse(await readFile(path.join(meeting, name), "utf8")) as T;
  };

  const findings: Finding[] = [];
  for (const [what, take] of Object.entries({ O_EXCL: takeExclusively, link: takeByLink(role) })) {
    await meet();
    const won: number[] = [];
    for (let i = 0; i < RACES; i++) if (await take(path.join(meeting, `${what}-${i}`))) won.push(i);
    if (role === "second") await tell(`won-${what}`, won);
    else
      findings.push({
        what: `${what} (one of two creates a file)`,
        problem: oneEach(won, await hear<number[]>(`won-${what}`), what === "link"),
      });
  }
  findings.push(...(role === "first" ? await renames(meeting, meet, hear) : await watchRenames(meeting, meet, tell)));
  findings.push(...(role === "first" ? await beats(meeting, meet, hear) : await watchBeats(meeting, meet, tell)));
  // The first removes the folder when the second has gone.
  if (role === "second") await writeFile(path.join(meeting, "second-gone"), "");
  else await appears(meeting, "second-gone", signal);
  return findings;
}

type Meet = () => Promise<void>;
type Hear = <T>(name: string) => Promise<T>;
type Tell = (name: string, said: unknown) => Promise<void>;

const takeExclusively = (file: string) => unlessThere(writeFile(file, "", { flag: "wx" }), []);

/** As locks are taken (files/lock.ts): by a link to a file that is there whole. */
const takeByLink = (role: Role) => async (file: string) => {
  const whole = `${file}.${role}`;
  await writeFile(whole, role);
  return unlessThere(link(whole, file), ["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"]);
};

/** @param without codes of a file system that has none of this at all */
async function unlessThere(made: Promise<void>, without: readonly string[]): Promise<boolean> {
  try {
    await made;
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST" || without.includes(code ?? "")) return false;
    throw error;
  }
}

/** @param dispensable where neither ever won there is none of it here, and O_EXCL alone is used (files/lock.ts) */
function oneEach(first: readonly number[], second: readonly number[], dispensable: boolean): string | null {
  if (dispensable && first.length + second.length === 0) return null;
  const both = first.filter((i) => second.includes(i)).length;
  const none = RACES - new Set([...first, ...second]).size;
  if (both === 0 && none === 0) return null;
  return `of ${RACES} files ${both} were created by both processes and ${none} by neither`;
}

async function renames(meeting: string, meet: Meet, hear: Hear): Promise<Finding[]> {
  const target = path.join(meeting, "renamed");
  await publish(target, content(0));
  await meet();
  for (let i = 1; i <= RENAMES; i++) await publish(target, content(i));
  await writeFile(path.join(meeting, "renames-end"), "");
  const { reads, problem } = await hear<{ reads: number; problem: string | null }>("renames-seen");
  return [{ what: `rename (readers see the old file or the new; ${reads} reads)`, problem }];
}

const content = (i: number) => String.fromCharCode(97 + (i % 26)).repeat(SIZE);

async function watchRenames(meeting: string, meet: Meet, tell: Tell): Promise<Finding[]> {
  await meet();
  let [reads, problem]: [number, string | null] = [0, null];
  for (let last = false; !last; reads++) {
    last = (await readdir(meeting)).includes("renames-end");
    const seen = await readFile(path.join(meeting, "renamed"), "utf8").catch((error: NodeJS.ErrnoException) => {
      problem ??= `a reader was told ${error.code}`;
      return null;
    });
    // An open file that was renamed over: NFS may have removed it, and says so.
    if (seen !== null && seen !== (seen[0] ?? "").repeat(SIZE))
      problem ??= `a reader saw a part of ${seen.length} bytes`;
  }
  await tell("renames-seen", { reads, problem });
  return [];
}

async function beats(meeting: string, meet: Meet, hear: Hear): Promise<Finding[]> {
  const file = path.join(meeting, "beat");
  await writeFile(file, "beat");
  await meet();
  for (let i = 0; i < BEATS; i++) {
    await sleep(1100); // file systems that count seconds
    const handle = await open(file, "r+");
    await handle.write("beat", 0);
    await handle.sync();
    await handle.close();
  }
  const { times, skew } = await hear<{ times: number; skew: number }>("beats-seen");
  const still = times >= 2 ? null : "what one process wrote gave the file no new time that the other saw";
  const apart =
    Math.abs(skew) <= SKEW ? null : `files written together have times that are ${(skew / 1000).toFixed(0)} s apart`;
  return [{ what: `mtime (${times} times seen, ${(skew / 1000).toFixed(1)} s apart)`, problem: still ?? apart }];
}

async function watchBeats(meeting: string, meet: Meet, tell: Tell): Promise<Finding[]> {
  await meet();
  const seen = new Set<number>();
  for (const end = performance.now() + 1100 * (BEATS + 2); performance.now() < end; await sleep(200)) {
    seen.add(await freshTime(path.join(meeting, "beat")));
  }
  const own = path.join(meeting, "beat-second");
  await writeFile(own, "");
  // It was written last about as long ago as two pauses.
  const skew = (await freshTime(own)) - Math.max(...seen) - 2200;
  await tell("beats-seen", { times: seen.size, skew });
  return [];
}

/** Opened, because NFS asks the server then. */
async function freshTime(file: string): Promise<number> {
  const handle = await open(file, "r");
  try {
    return (await handle.stat()).mtimeMs;
  } finally {
    await handle.close();
  }
}

async function publish(target: string, text: string): Promise<void> {
  await writeFile(`${target}.part`, text);
  await rename(`${target}.part`, target);
}

async function appears(folder: string, name: string, signal: AbortSignal): Promise<void> {
  for (const end = performance.now() + PATIENCE; ; await sleep(20)) {
    signal.throwIfAborted();
    if ((await readdir(folder)).includes(name)) return;
    if (performance.now() > end)
      throw failure(`${folder}: no other process came within ${PATIENCE / 1000} s (${name})`);
  }
}
