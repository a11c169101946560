// Bearer tokens: a file has their hashes alone. A token is 256 random bits, so that one round of SHA-256 is enough: there is
// nothing to guess. It is compared with every one that is known, in constant time.

import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { failure, oneLine, UserError, usageError } from "../../errors/errors";
import { shown } from "../../errors/printable";
import { writeFileAtomic } from "../../files/atomic";
import { formatProblem, stamped } from "../../files/format";
import { parseOwnJson } from "../../files/json";
import { tryLockFolder } from "../../files/lock";
import { storageFailure } from "../../files/storage-failure";

const FORMAT = 1 as const;

/** What a token is good for: predictions, or changing what answers too. */
export type Role = "predict" | "admin";

export interface TokenEntry {
  readonly name: string;
  readonly role: Role;
  readonly sha256: string;
  /** ISO 8601, UTC. */
  readonly created: string;
}

interface TokenFile {
  readonly format: typeof FORMAT;
  readonly flexbert?: string;
  readonly tokens: readonly TokenEntry[];
}

/** The entries of a file; null where there is none. Throws UserError (2) for a file that holds no tokens. */
export async function readTokens(file: string): Promise<readonly TokenEntry[] | null> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw storageFailure(error, file, "cannot read");
  }
  try {
    const json = parseOwnJson(text);
    const foreign = formatProblem(json, FORMAT);
    if (foreign !== null) throw usageError(`${file} ${foreign}`);
    return entriesOf(json);
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw usageError(`${file} is no file of tokens (${oneLine(error)}). Make one: flexbert serve --new-token NAME`);
  }
}

function entriesOf(json: unknown): readonly TokenEntry[] {
  const { tokens } = Object(json) as { tokens?: unknown };
  if (!Array.isArray(tokens)) throw new Error("it has no list of tokens");
  for (const entry of tokens) {
    const { name, role, sha256 } = Object(entry) as Record<string, unknown>;
    const whole = typeof name === "string" && typeof sha256 === "string" && /^[0-9a-f]{64}$/.test(sha256);
    if (!whole || (role !== "predict" && role !== "admin")) throw new Error(`${shown(name)} is not whole`);
  }
  return tokens as TokenEntry[];
}

/** How long one waits for another who adds a token, and how often it looks. */
const [LONGEST_WAIT_MS, LOOK_MS] = [10_000, 20] as const;

/**
 * Makes a token and stores its hash. Nobody can read it again. Two at a time wait for each other.
 * Throws UserError (2) for a name that is taken or none, (1) where another process keeps the file's folder locked.
 */
export async function newToken(file: string, name: string, role: Role): Promise<string> {
  if (!/^[A-Za-z0-9][\w.-]{0,63}$/.test(name)) {
    throw usageError(`a token cannot be called ${shown(name)}: it takes letters, digits, ".", "_" and "-"`);
  }
  const unlock = await lockWhenFree(path.dirname(file));
  try {
    return await addToken(file, name, role);
  } finally {
    await unlock();
  }
}

async function lockWhenFree(folder: string): Promise<() => Promise<void>> {
  const until = Date.now() + LONGEST_WAIT_MS;
  for (;;) {
    const claim = await tryLockFolder(folder, "a new token");
    if ("unlock" in claim) return claim.unlock;
    if (Date.now() > until) throw failure(claim.heldBy);
    await sleep(LOOK_MS);
  }
}

async function addToken(file: string, name: string, role: Role): Promise<string> {
  const known = (await readTokens(file)) ?? [];
  if (known.some((entry) => entry.name === name)) {
    throw usageError(`${file} has a token ${name} already. Take another name, or take its entry out of the file`);
  }
  const token = `fb_${randomBytes(32).toString("base64url")}`;
  const entry: TokenEntry = { name, role, sha256: hashOf(token).toString("hex"), created: new Date().toISOString() };
  const content: TokenFile = stamped({ format: FORMAT, tokens: [...known, entry] });
  await writeFileAtomic(file, `${JSON.stringify(content, null, 2)}\n`);
  return token;
}

const hashOf = (token: string): Buffer => createHash("sha256").update(token).digest();

/** Finds the entry of a token. */
export function tokenFinder(entries: readonly TokenEntry[]): (token: string) => TokenEntry | null {
  const hashes = entries.map((entry) => ({ entry, hash: Buffer.from(entry.sha256, "hex") }));
  return (token) => {
    const hash = hashOf(token);
    let found: TokenEntry | null = null;
    for (const known of hashes) if (timingSafeEqual(known.hash, hash)) found = known.entry;
    return found;
  };
}
