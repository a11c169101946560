// HTTP GET over undici: proxies from HTTP_PROXY, HTTPS_PROXY and NO_PROXY, time limits, redirects followed by hand, so that
// headers on the way are seen and credentials stay with the origin that they are for.

import type { Readable } from "node:stream";
import type { Dispatcher, request } from "undici";
import { modelError } from "../errors/errors";

export interface NetworkLimits {
  /** Milliseconds to a connection, to an answer, and between two pieces of a body. */
  readonly connectMs: number;
  readonly answerMs: number;
  readonly stallMs: number;
  /** Attempts that bring no byte, one after the other, before a download fails. */
  readonly attempts: number;
  /** Milliseconds before the second attempt; doubled for each later one. */
  readonly backoffMs: number;
}

const defaultLimits: NetworkLimits = {
  connectMs: 10_000,
  answerMs: 30_000,
  stallMs: 30_000,
  attempts: 4,
  backoffMs: 500,
};

export interface Network {
  readonly limits: NetworkLimits;
  readonly dispatcher: Dispatcher;
  readonly request: typeof request;
  close(): Promise<void>;
}

/** undici is loaded only here: commands that never download do not wait for it. */
export async function openNetwork(limits: Partial<NetworkLimits> = {}): Promise<Network> {
  const { EnvHttpProxyAgent, request } = await import("undici");
  const all = { ...defaultLimits, ...limits };
  const dispatcher = new EnvHttpProxyAgent({
    connect: { timeout: all.connectMs },
    headersTimeout: all.answerMs,
    bodyTimeout: all.stallMs,
  });
  return { limits: all, dispatcher, request, close: () => dispatcher.destroy() };
}

/** An answer that is not the file: 401, 404, 503, ... */
export class StatusError extends Error {
  readonly status: number;
  readonly retryAfterMs: number | null;

  constructor(status: number, url: string, retryAfterMs: number | null = null) {
    super(`${url} answers ${status}`);
    this.name = "StatusError";
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }
}

export interface Reply {
  readonly status: number;
  readonly body: Readable;
  /** Bytes of the body, where the server says. */
  readonly length: number | null;
  /** Of a 206 answer: its first byte and the whole file's bytes. */
  readonly range: { readonly start: number; readonly total: number | null } | null;
  readonly retryAfterMs: number | null;
  readonly firstHeaders: Headers;
  /** The header of the nearest answer on the way that has it: first hop first. */
  header(name: string): string | null;
  /** Forgets the body: a short one is read, so that the connection can be used again, a long one cut off. */
  discard(): Promise<void>;
}

const MOST_REDIRECTS = 5;
const LONGEST_WAIT_MS = 60_000;

/** GET with redirects followed; `credentials` go to the first origin only, `headers` everywhere. */
export async function send(
  network: Network,
  url: string,
  credentials: Readonly<Record<string, string>>,
  headers: Readonly<Record<string, string>>,
  signal?: AbortSignal,
): Promise<Reply> {
  const hops: Headers[] = [];
  let location = new URL(url);
  const { origin } = location;
  for (let hop = 0; hop <= MOST_REDIRECTS; hop++) {
    const {
      statusCode,
      headers: received,
      body,
    } = await network.request(location, {
      dispatcher: network.dispatcher,
      headers: {
        "user-agent": "flexbert",
        "accept-encoding": "identity", // so that content-length counts the file's bytes
        ...headers,
        ...(location.origin === origin ? credentials : {}),
      },
      ...(signal ? { signal } : {}),
    });
    const answer = toHeaders(received);
    hops.push(answer);
    const next = statusCode >= 300 && statusCode < 400 ? answer.get("location") : null;
    if (next === null) return toReply(statusCode, body, hops);
    await body.dump();
    location = new URL(next, location);
  }
  throw modelError(`${url} redirects more than ${MOST_REDIRECTS} times. Check that address, or the mirror that is set`);
}

function toHeaders(received: Record<string, string | string[] | undefined>): Headers {
  const headers = new Headers();
  for (const [name, value] of Object.entries(received)) if (value !== undefined) headers.set(name, String(value));
  return headers;
}

function toReply(status: number, body: Dispatcher.ResponseData["body"], hops: readonly Headers[]): Reply {
  const last = hops.at(-1) as Headers;
  const length = last.get("content-length");
  const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(last.get("content-range") ?? "");
  const seconds = Number(last.get("retry-after") ?? Number.NaN);
  return {
    status,
    body,
    length: length === null || last.has("content-encoding") ? null : Number(length),
    range: range ? { start: Number(range[1]), total: range[2] === "*" ? null : Number(range[2]) } : null,
    retryAfterMs: Number.isFinite(seconds) ? Math.min(seconds * 1000, LONGEST_WAIT_MS) : null,
    firstHeaders: hops[0] as Headers,
    header: (name) => hops.find((hop) => hop.has(name))?.get(name) ?? null,
    discard: () => body.dump(),
  };
}
