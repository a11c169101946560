// Processes that have fine-tuning trials to do. A share of an experiment may get to students before the other shares have
// made their teachers: it waits as long as one of those is at work, also while that one reads data or is between two
// trials, when it holds no trial's lock.

import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { readdir, rm, rmdir } from "node:fs/promises";
import path from "node:path";
import { lockHolder, tryLeaseFolder } from "../files/lock";

/** Hidden, so that nothing takes it for a base's runs. */
const FOLDER = ".fine-tuning";

export interface Presence {
  /** Who else has fine-tuning trials to do, in a sentence; null where nobody has. */
  others(): Promise<string | null>;
  /** Says that this process has none left. */
  withdraw(): Promise<void>;
}

/**
 * Says that this process has fine-tuning trials to do in a checkpoints folder, until it withdraws or dies.
 * @param purpose what the others say of it: "fine-tuning of glue.yaml"; null where it has none, and only looks
 */
export async function announce(checkpoints: string, purpose: string | null): Promise<Presence> {
  const folder = path.join(checkpoints, FOLDER);
  const name = randomUUID();
  const parents = [folder, checkpoints, path.dirname(checkpoints)].filter((parent) => !existsSync(parent));
  const claim = purpose === null ? null : await tryLeaseFolder(path.join(folder, name), purpose);
  await living(folder, name); // clears away what killed ones left
  let present = claim !== null && "unlock" in claim;
  return {
    async others() {
      return (await living(folder, name))[0] ?? null;
    },
    async withdraw() {
      if (!present || !claim || !("unlock" in claim)) return;
      present = false;
      await claim.unlock();
      await rm(path.join(folder, name), { recursive: true, force: true });
      // What was made for this alone goes with it; whatever holds something stays.
      for (const parent of [...new Set([folder, ...parents])]) {
        await rmdir(parent).catch(() => undefined);
      }
    },
  };
}

/** The other processes, as the lock says who holds it. Those that were killed are cleared away. */
async function living(folder: string, own: string): Promise<string[]> {
  const held: string[] = [];
  // Absent where nobody has announced anything, or the last one has just withdrawn.
  for (const other of await readdir(folder).catch(() => [])) {
    if (other === own) continue;
    const holder = await lockHolder(path.join(folder, other));
    if (holder === null) await removeDead(path.join(folder, other));
    else held.push(holder);
  }
  return held;
}

/** What a killed process left; one that just begins has made its folder and not yet its lock. */
async function removeDead(folder: string): Promise<void> {
  const entries = await readdir(folder).catch(() => []);
  if (entries.length > 0) await rm(folder, { recursive: true, force: true });
}
