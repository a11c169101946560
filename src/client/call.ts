// One call of the server: sent, tried again where it was refused for now, ended by its caller or its time, and its failure
// told as one FlexbertError.

import type { ErrorAnswer } from "./api.js";
import { FlexbertError } from "./errors.js";
import { retryAfterOf, waitBefore } from "./retries.js";

/** What a client is made with, filled in. */
export interface Connection {
  readonly url: string;
  readonly fetch: typeof fetch;
  readonly retries: number;
  readonly timeoutMs: number;
  readonly random: () => number;
}

export interface Request {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly token: string | undefined;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number | undefined;
  /** Whether it may run twice: then a broken connection is tried again too. */
  readonly repeatable: boolean;
}

/** The time of a call, and what ends it. */
export interface Limit {
  readonly signal: AbortSignal;
  /** Time does not count until it is renewed. */
  hold(): void;
  /** Counts the time from here again. */
  renew(): void;
  /** Milliseconds that are left. */
  left(): number;
  end(reason?: unknown): void;
}

/** 503 is a server that drains or is not ready, 429 one with a full queue. Both have done nothing yet. */
const REFUSED_FOR_NOW = [429, 503];

/** What timers count: of more they would be over at once. */
const LONGEST_MS = 2 ** 31 - 1;

/** A limit of `ms` and of the caller's own signal. Whoever opens one ends it. */
export function openLimit(ms: number, outer: AbortSignal | undefined): Limit {
  const inner = new AbortController();
  const stop = () => inner.abort(outer?.reason);
  if (outer?.aborted) stop();
  outer?.addEventListener("abort", stop, { once: true });
  const late = () => inner.abort(new FlexbertError(`no answer within ${ms} ms`, { code: "timeout" }));
  const count = () => (ms > LONGEST_MS ? undefined : setTimeout(late, ms));
  let [timer, until] = [count(), performance.now() + ms];
  return {
    signal: inner.signal,
    hold: () => clearTimeout(timer),
    renew() {
      clearTimeout(timer);
      [timer, until] = [count(), performance.now() + ms];
    },
    left: () => until - performance.now(),
    end(reason) {
      clearTimeout(timer);
      outer?.removeEventListener("abort", stop);
      if (reason !== undefined) inner.abort(reason);
    },
  };
}

/** The first answer that is a success. Throws FlexbertError, and the reason of a signal that was given. */
export async function send(connection: Connection, request: Request, limit: Limit): Promise<Response> {
  for (let attempt = 0; ; attempt++) {
    const failure = await sendOnce(connection, request, limit);
    if (!(failure instanceof FlexbertError)) return failure; // a fetch of one's own may have another Response
    const again =
      failure.status === null
        ? failure.code === "unreachable" && request.repeatable
        : REFUSED_FOR_NOW.includes(failure.status);
    if (!again || attempt >= connection.retries) throw failure;
    const wait = waitBefore(attempt, failure.retryAfterMs, connection.random);
    if (wait >= limit.left()) throw failure; // its time would end before the next try: the refusal says more
    await pause(wait, limit.signal);
  }
}

async function sendOnce(connection: Connection, request: Request, limit: Limit): Promise<Response | FlexbertError> {
  const { method, path, token, body, headers } = request;
  limit.signal.throwIfAborted();
  let response: Response;
  try {
    response = await connection.fetch(`${connection.url}${path}`, {
      method,
      headers: {
        accept: "application/json",
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: limit.signal,
    });
  } catch (cause) {
    limit.signal.throwIfAborted();
    return new FlexbertError(`${connection.url} is not reached (${causeOf(cause)}). Is flexbert serve running there?`, {
      code: "unreachable",
      cause,
    });
  }
  return response.ok ? response : refusalOf(response, limit);
}

/** fetch says "fetch failed", and why in its cause. */
const causeOf = (error: unknown): string => {
  const { message, cause } = error as { message?: string; cause?: { message?: string; code?: string } };
  return cause?.code ?? cause?.message ?? message ?? String(error);
};

async function refusalOf(response: Response, limit: Limit): Promise<FlexbertError> {
  const { status, headers } = response;
  const retryAfterMs = retryAfterOf(headers.get("retry-after"), Date.now());
  const said = await response.text().catch(() => "");
  limit.signal.throwIfAborted();
  const error = errorIn(said);
  if (error) {
    return new FlexbertError(error.message, { code: error.code, status, requestId: error.request_id, retryAfterMs });
  }
  // A proxy's own page, say.
  return new FlexbertError(
    `${response.url} answered ${status}, and not as flexbert serve does: ${said.slice(0, 200)}`,
    {
      code: "bad_answer",
      status,
      requestId: headers.get("x-request-id"),
      retryAfterMs,
    },
  );
}

function errorIn(text: string): ErrorAnswer["error"] | null {
  try {
    const { error } = JSON.parse(text) as Partial<ErrorAnswer>;
    return typeof error?.code === "string" && typeof error.message === "string" ? error : null;
  } catch {
    return null;
  }
}

/** An answer's JSON. Throws FlexbertError where it is none, or not what `fits` looks for. */
export async function readAnswer<T>(response: Response, fits: (json: T) => boolean, limit: Limit): Promise<T> {
  let text: string;
  try {
    text = await response.text();
  } catch (cause) {
    limit.signal.throwIfAborted();
    throw badAnswer(response, `it broke off (${causeOf(cause)})`, cause);
  }
  let json: T;
  try {
    json = JSON.parse(text) as T;
  } catch (cause) {
    throw badAnswer(response, `it is no JSON: ${text.slice(0, 200)}`, cause);
  }
  if (typeof json !== "object" || json === null || !fits(json)) {
    throw badAnswer(response, `it has other keys: ${text.slice(0, 200)}`);
  }
  return json;
}

export const badAnswer = (response: Response, why: string, cause?: unknown) =>
  new FlexbertError(`${response.url} gave an answer that is none of flexbert serve's: ${why}`, {
    code: "bad_answer",
    status: response.status,
    requestId: response.headers.get("x-request-id"),
    cause,
  });

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(
      () => {
        signal.removeEventListener("abort", stop);
        resolve();
      },
      Math.min(ms, LONGEST_MS),
    );
    signal.addEventListener("abort", stop, { once: true });
  });
}
