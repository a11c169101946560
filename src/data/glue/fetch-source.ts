// One published file of GLUE, from its host, a mirror, or a folder: complete and with its hash, or not at all.

import { existsSync, statSync } from "node:fs";
import { open, rm, stat } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { dataError, ExitCode, UserError, usageError } from "../../errors/errors";
import { download, UnreachableError } from "../../files/download";
import { sha256File } from "../../files/hash";
import { type Network, StatusError } from "../../files/network";
import { glueHost, nameOf, type SourceFile } from "./sources";

/** Where files come from. */
export type Mirror =
  | { readonly kind: "host"; readonly url: string; readonly headers: Readonly<Record<string, string>> }
  | { readonly kind: "folder"; readonly folder: string };

export const officialHost: Mirror = { kind: "host", url: glueHost, headers: {} };

/** What `--mirror` or FLEXBERT_GLUE_MIRROR gave. Throws usageError (2) for what is no address and no folder. */
export function parseMirror(given: string, name: string): Mirror {
  const mirror = /^https?:\/\//i.test(given) ? hostMirror(given) : folderMirror(given);
  if (mirror) return mirror;
  const shown = given.replace(/\/\/[^/]*@/, "//***@");
  throw usageError(`${name} "${shown}": it takes an http or https address, or a folder that exists`);
}

function folderMirror(given: string): Mirror | null {
  const isAddress = given.startsWith("file:");
  if (isAddress && !/^file:\/\/(localhost)?\//.test(given)) return null;
  const folder = isAddress ? fileURLToPath(given) : given;
  return existsSync(folder) && statSync(folder).isDirectory() ? { kind: "folder", folder } : null;
}

function hostMirror(given: string): Mirror | null {
  if (!URL.canParse(given)) return null;
  const url = new URL(given);
  const credentials = decoded(`${url.username}:${url.password}`);
  if (credentials === null) return null;
  const secret = Buffer.from(credentials).toString("base64");
  const headers: Record<string, string> = url.username ? { authorization: `Basic ${secret}` } : {};
  url.username = url.password = ""; // they go in a header and into no message
  return { kind: "host", url: url.href.replace(/\/+$/, ""), headers };
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

/** Bytes beyond a file's own after which a server that sends another file is stopped. A web page fits in. */
const LARGEST_SURPLUS = 1e6;

export interface FetchOptions {
  readonly mirror: Mirror;
  /** Keeps what an interrupted download brought. */
  readonly work: string;
  /** null forbids to use it. */
  readonly network: Network | null;
  readonly onProgress?: (file: string, received: number, total: number | null) => void;
  readonly signal?: AbortSignal;
}

/** A file that cannot be had: its message lacks what to do by hand, which the caller knows for all files. */
export class OutOfReach extends UserError {}

/**
 * The path of the file, fetched if need be. Throws OutOfReach where network or mirror do not give it (1, or 3 for an
 * answer such as 404), dataError (3) for content with a wrong hash.
 */
export async function fetchSource(file: SourceFile, options: FetchOptions): Promise<string> {
  const { mirror, work, network } = options;
  const name = nameOf(file);
  if (mirror.kind === "folder") {
    const places = [path.join(mirror.folder, name), path.join(mirror.folder, file.path)];
    const found = places.find((place) => existsSync(place));
    if (!found) throw new OutOfReach(ExitCode.data, `${mirror.folder} has no ${name}`);
    await requireContent(found, found, file);
    return found;
  }
  const target = path.join(work, name);
  if (existsSync(target) && (await problemOf(target, file)) === null) return target; // unpacking it failed last time
  await rm(target, { force: true });
  if (!network) throw new OutOfReach(ExitCode.data, `${name} is not there, and --offline forbids to fetch it`);
  const url = await receive(file, target, mirror, network, options);
  try {
    await requireContent(target, url, file);
  } catch (error) {
    await rm(target, { force: true });
    throw error;
  }
  return target;
}

/** Downloads from the host's own path, or from beside the other files, and returns the address that had it. */
async function receive(
  file: SourceFile,
  target: string,
  { url, headers }: Mirror & { kind: "host" },
  network: Network,
  { onProgress, signal }: FetchOptions,
): Promise<string> {
  const name = nameOf(file);
  const addresses = [`${url}/${file.path}`, ...(url === glueHost ? [] : [`${url}/${name}`])];
  const optional = {
    onProgress(received: number, total: number | null) {
      if (received > file.bytes + LARGEST_SURPLUS) {
        throw dataError(
          `${url} sends more than the ${file.bytes} bytes of ${name}. Fetch it from another place (--mirror)`,
        );
      }
      onProgress?.(name, received, total);
    },
    ...(signal ? { signal } : {}),
  };
  let refused: StatusError | null = null;
  for (const address of addresses) {
    try {
      const advice = "Check the network, HTTPS_PROXY and --mirror";
      await download({ url: address, target, headers, advice, ...optional }, network);
      return address;
    } catch (error) {
      if (error instanceof UnreachableError) throw new OutOfReach(error.exitCode, error.message, { cause: error });
      // A server that redirects in circles is no wrong model.
      if (error instanceof UserError && error.exitCode === ExitCode.model) throw dataError(error.message, error);
      if (!(error instanceof StatusError)) throw error;
      refused = error;
      if (error.status !== 404) break;
    }
  }
  throw new OutOfReach(ExitCode.data, `${refused?.message}. Check HTTPS_PROXY and --mirror`, { cause: refused });
}

async function requireContent(place: string, origin: string, file: SourceFile): Promise<void> {
  const problem = await problemOf(place, file);
  if (problem === null) return;
  throw dataError(`${origin} ${problem}. Fetch it again, or from another place (--mirror)`);
}

/** What is wrong with the content of a file, or null. */
async function problemOf(place: string, file: SourceFile): Promise<string | null> {
  const { size } = await stat(place);
  const found = await sha256File(place);
  if (found === file.sha256) return null;
  // Firewalls and login pages answer 200 with a page of their own.
  if (await isWebPage(place))
    return `is a web page, not ${nameOf(file)}: something between here and there answers for it`;
  if (size !== file.bytes) return `has ${size} bytes, ${nameOf(file)} has ${file.bytes}`;
  return `has the sha256 ${found}, expected is ${file.sha256}`;
}

async function isWebPage(place: string): Promise<boolean> {
  const handle = await open(place, "r");
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(256), 0, 256, 0);
    return /^[\s\uFEFF]*<(!doctype|html|\?xml|!--|head|body|script)/i.test(buffer.toString("utf8", 0, bytesRead));
  } finally {
    await handle.close();
  }
}
