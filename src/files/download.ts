// Downloads of large files: resumed after an interruption, retried, verified, complete or absent. Bytes collect in
// TARGET.part beside TARGET.part.etag, which says of which content they are: a server that has other content by now, or
// that ignores Range, makes the download start over.
// Not fetch: Node 20's ignores proxies, and unpacks bodies so that their lengths cannot be checked.

import { createWriteStream, existsSync } from "node:fs";
import { readFile, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { ExitCode, modelError, UserError } from "../errors/errors";
import { requireFreeSpace, syncFolder, writeFileAtomic } from "./atomic";
import { digestFile } from "./hash";
import { type Network, type Reply, StatusError, send } from "./network";
import { storageFailure } from "./storage-failure";

export interface DownloadRequest {
  readonly url: string;
  /** The file to make; its folder must exist. */
  readonly target: string;
  /** Sent to the url's own origin only, never to where it redirects. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Known in advance; what the server announces is checked as well. */
  readonly sha256?: string;
  /** What to check where the server is out of reach; default the network, HTTPS_PROXY and HF_ENDPOINT. */
  readonly advice?: string;
  readonly onProgress?: (received: number, total: number | null) => void;
  readonly signal?: AbortSignal;
}

/** The server cannot be reached, or gives up in the middle, however often one asks. */
export class UnreachableError extends UserError {}

/**
 * Downloads one file and returns the headers of the first answer.
 * Throws StatusError for an answer such as 404, UnreachableError (1) where the network fails, failure (1) where
 * the disk does, modelError (4) for content with a wrong hash, which is removed, and the signal's reason on abort.
 */
export async function download(request: DownloadRequest, network: Network): Promise<Reply["firstHeaders"]> {
  const { attempts, backoffMs } = network.limits;
  let failures = 0;
  for (;;) {
    const before = await partBytes(request.target);
    try {
      const headers = await attempt(request, network);
      await finish(request, headers);
      return headers.first;
    } catch (error) {
      request.signal?.throwIfAborted();
      if (!isTransient(error)) throw storageFailure(error, request.target);
      failures = (await partBytes(request.target)) > before ? 1 : failures + 1; // a connection that moves may drop often
      if (failures >= attempts) throw unreachable(request, error, attempts);
      await sleep(retryAfterMs(error) ?? backoffMs * 2 ** (failures - 1), undefined, signalOption(request.signal));
    }
  }
}

interface Answered {
  readonly first: Reply["firstHeaders"];
  readonly checks: readonly Check[];
}

interface Check {
  readonly algorithm: "sha256" | "md5";
  readonly encoding: "hex" | "base64";
  readonly digest: string;
}

/** One request: continues the part where the server still has the same content, else starts over. */
async function attempt(request: DownloadRequest, network: Network): Promise<Answered> {
  const { url, target, signal } = request;
  const etag = await partEtag(target);
  const begun = etag === null ? 0 : await partBytes(target);
  const range = begun > 0 ? { range: `bytes=${begun}-` } : {};
  const reply = await send(network, url, { ...request.headers }, { ...range }, signal);
  const identity = identityOf(reply);
  const continues = reply.status === 206 && identity === etag && reply.range?.start === begun;
  if (begun > 0 && !continues && (reply.status === 206 || reply.status === 416)) {
    await reply.discard();
    await removePart(target);
    return attempt(request, network);
  }
  if (reply.status !== 200 && !continues) {
    await reply.discard();
    throw new StatusError(reply.status, url, reply.retryAfterMs);
  }
  const start = continues ? begun : 0;
  const total = continues ? (reply.range?.total ?? null) : reply.length;
  try {
    if (!continues) await beginPart(target, identity);
    if (total !== null) await requireFreeSpace(path.dirname(target), total - start, `downloading ${url}`);
  } catch (error) {
    await reply.discard();
    throw error;
  }
  await receive(request, reply, start, total);
  return { first: reply.firstHeaders, checks: checksOf(request, reply) };
}

async function receive(request: DownloadRequest, reply: Reply, start: number, total: number | null): Promise<void> {
  const { target, url, onProgress } = request;
  let received = start;
  onProgress?.(received, total);
  async function* counted(source: AsyncIterable<Buffer>) {
    for await (const chunk of source) {
      received += chunk.length;
      onProgress?.(received, total);
      yield chunk;
    }
  }
  const file = createWriteStream(partPath(target), { flags: start > 0 ? "a" : "w", flush: true });
  await pipeline(reply.body, counted, file, signalOption(request.signal));
  if (total !== null && received !== total) {
    throw Object.assign(new Error(`${url} ended after ${received} of ${total} bytes`), { code: "ERR_CUT_OFF" });
  }
}

async function finish({ target, url }: DownloadRequest, { checks }: Answered): Promise<void> {
  for (const { algorithm, encoding, digest } of checks) {
    const found = await digestFile(partPath(target), algorithm, encoding);
    if (found === digest) continue;
    await removePart(target);
    throw modelError(`${url} has the ${algorithm} ${found}, expected is ${digest}. It was removed; fetch it again`);
  }
  await rename(partPath(target), target);
  await rm(etagPath(target), { force: true });
  await syncFolder(path.dirname(target));
}

/** The pinned hash, the hub's sha256 of large files, and Google's md5. */
function checksOf(request: DownloadRequest, reply: Reply): Check[] {
  const checks: Check[] = [];
  const linked = unquoted(reply.header("x-linked-etag"));
  if (request.sha256) checks.push({ algorithm: "sha256", encoding: "hex", digest: request.sha256 });
  if (linked && /^[0-9a-f]{64}$/.test(linked)) checks.push({ algorithm: "sha256", encoding: "hex", digest: linked });
  const md5 = /(?:^|[,\s])md5=([A-Za-z0-9+/]{22}==)/.exec(reply.header("x-goog-hash") ?? "")?.[1];
  if (md5) checks.push({ algorithm: "md5", encoding: "base64", digest: md5 });
  return checks;
}

/** What tells one content from another: the hub's own etag of the file, else a strong one of the server that sends it. */
function identityOf(reply: Reply): string | null {
  const etag = reply.header("x-linked-etag") ?? reply.header("etag");
  return etag === null || etag.startsWith("W/") ? null : unquoted(etag);
}

const unquoted = (etag: string | null) => etag?.replace(/^"|"$/g, "") ?? null;

const partPath = (target: string) => `${target}.part`;
const etagPath = (target: string) => `${target}.part.etag`;

async function partBytes(target: string): Promise<number> {
  return existsSync(partPath(target)) ? (await stat(partPath(target))).size : 0;
}

async function partEtag(target: string): Promise<string | null> {
  return existsSync(etagPath(target)) ? readFile(etagPath(target), "utf8") : null;
}

async function removePart(target: string): Promise<void> {
  await rm(partPath(target), { force: true });
  await rm(etagPath(target), { force: true });
}

/** The etag goes last away and first back, so that bytes never lie under another content's etag. */
async function beginPart(target: string, identity: string | null): Promise<void> {
  await removePart(target);
  if (identity !== null) await writeFileAtomic(etagPath(target), identity);
}

/** Worth another attempt: servers in trouble, and whatever the network does. Disks and defects are not. */
function isTransient(error: unknown): boolean {
  if (error instanceof StatusError) return error.status === 408 || error.status === 429 || error.status >= 500;
  const { code, name, syscall } = error as NodeJS.ErrnoException;
  if (name === "HTTPParserError") return true; // what answers speaks no HTTP; undici gives it no code
  if (error instanceof UserError || typeof code !== "string") return false;
  // A firewall may refuse a connection with EPERM or EACCES, which elsewhere are the disk's.
  return syscall === "connect" || storageFailure(error, "") === error;
}

const retryAfterMs = (error: unknown) => (error instanceof StatusError ? error.retryAfterMs : null);

function unreachable({ url, advice }: DownloadRequest, error: unknown, attempts: number): UnreachableError {
  const { message, code } = error as NodeJS.ErrnoException; // several addresses refused: a code without a message
  const times = attempts === 1 ? "once" : `${attempts} times`;
  return new UnreachableError(
    ExitCode.failure,
    `cannot fetch ${url}: ${message || code} (tried ${times}). ${advice ?? "Check the network, HTTPS_PROXY and HF_ENDPOINT"}`,
    { cause: error },
  );
}

const signalOption = (signal: AbortSignal | undefined) => (signal ? { signal } : {});
