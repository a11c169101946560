// A client of flexbert serve, for Node and browsers: nothing but fetch and what both have.

import type {
  ChangeAnswer,
  HistoryAnswer,
  ModelAnswer,
  PredictAnswer,
  PredictRequest,
  RequestRow,
  RequestSettings,
  RowsAnswer,
  StatsAnswer,
  StreamEvent,
} from "./api.js";
import { badAnswer, type Connection, type Limit, openLimit, readAnswer, send } from "./call.js";
import { FlexbertError } from "./errors.js";
import { chunksOf, sentEvents } from "./events.js";

export interface ClientOptions {
  /** Where the server is: "http://127.0.0.1:8080". */
  readonly url: string;
  /** For predictions, where the server wants one. */
  readonly token?: string;
  /** For history, reload and rollback. */
  readonly adminToken?: string;
  /** How often a call is tried again after 429, 503 or a connection that failed; 3 by default. */
  readonly retries?: number;
  /** Of a call with its retries, and of a stream until its next event; 30 seconds by default, Infinity for none. */
  readonly timeoutMs?: number;
  /** Another `fetch`: with a proxy or with certificates of one's own. */
  readonly fetch?: typeof fetch;
}

export interface CallOptions {
  /** Ends the call, which then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
}

export interface PredictOptions extends CallOptions {
  /** Every task that takes such rows where it is left out. */
  readonly tasks?: readonly string[];
  /** Only the k most probable labels. */
  readonly topK?: number;
  /** "utf16" gives offsets of spans that `text.slice(start, end)` takes; code points where it is left out. */
  readonly offsetUnit?: "codepoint" | "utf16";
  /** Whether texts leave early: "on" where it is left out, "off", or how much doubt may be left, at most what the model allows. */
  readonly exit?: "on" | "off" | number;
  /** The server answers within this time, or with 504. */
  readonly deadlineMs?: number;
}

/** What the answer's headers say of the request. */
export interface RequestFacts {
  readonly id: string | null;
  readonly queueMs: number | null;
  readonly inferenceMs: number | null;
  readonly tokenizationMs: number | null;
}

/** An answer, and the request that it is to. */
export type Answer<T> = T & { readonly request: RequestFacts };

/** An event of a stream that is no error: that one is thrown. */
export type PredictionStream = AsyncGenerator<Exclude<StreamEvent, { event: "error" }>, void, undefined>;

export class FlexbertClient {
  readonly #connection: Connection;
  readonly #token: string | undefined;
  readonly #adminToken: string | undefined;

  constructor({ url, token, adminToken, retries = 3, timeoutMs = 30_000, fetch: own }: ClientOptions) {
    this.#connection = {
      url: url.replace(/\/+$/, ""),
      fetch: own ?? ((input, init) => fetch(input, init)), // browsers refuse a fetch that was taken off its window
      retries,
      timeoutMs,
      random: Math.random,
    };
    this.#token = token;
    this.#adminToken = adminToken;
  }

  /** What the tasks say of a text, or of a text and its pair. */
  async predict(row: string | RequestRow, options: PredictOptions = {}): Promise<Answer<PredictAnswer>> {
    const fits = ({ predictions }: PredictAnswer) => typeof predictions === "object";
    return this.#predict({ ...rowOf(row), ...settingsOf(options) }, fits, options);
  }

  /** The same of several rows: as many answers, in their order. */
  async predictRows(rows: readonly (string | RequestRow)[], options: PredictOptions = {}): Promise<Answer<RowsAnswer>> {
    const fits = ({ rows: answered }: RowsAnswer) => Array.isArray(answered) && answered.length === rows.length;
    return this.#predict({ rows: rows.map(rowOf), ...settingsOf(options) }, fits, options);
  }

  /**
   * Each task's answer as soon as its layers ran: `plan`, a `prediction` a row and task, then `done`. Leaving the loop ends
   * the request. A stream that ends before `done` throws "stream_cut"; one that has begun is not tried again.
   */
  async *stream(
    rows: string | RequestRow | readonly (string | RequestRow)[],
    options: PredictOptions = {},
  ): PredictionStream {
    const settings = { ...settingsOf(options), stream: true };
    const body: PredictRequest = isList(rows)
      ? { rows: rows.map(rowOf), ...settings }
      : { ...rowOf(rows), ...settings };
    const limit = this.#limit(options);
    try {
      const response = await this.#send(body, options, limit, "text/event-stream");
      yield* eventsOf(response, limit);
    } finally {
      limit.end(new FlexbertError("the stream was left", { code: "stream_cut" }));
    }
  }

  /** Version, tasks and precision of what is served. */
  model(options: CallOptions = {}): Promise<Answer<ModelAnswer>> {
    return this.#get("/v1/model", ({ tasks }: ModelAnswer) => Array.isArray(tasks), options);
  }

  /** Throughput and times of the last seconds. */
  stats(options: CallOptions = {}): Promise<Answer<StatsAnswer>> {
    return this.#get("/v1/stats", ({ versions }: StatsAnswer) => Array.isArray(versions), options);
  }

  /** The folder's changes, oldest first. Needs the admin token. */
  history(options: CallOptions = {}): Promise<Answer<HistoryAnswer>> {
    return this.#get("/v1/history", ({ history }: HistoryAnswer) => Array.isArray(history), options, this.#adminToken);
  }

  /** Has the server look at its folder now. Needs the admin token. */
  reload(options: CallOptions = {}): Promise<Answer<ChangeAnswer>> {
    return this.#change("/admin/reload", {}, options);
  }

  /** Back to the version before, or to one by hash or tag. Needs the admin token. */
  rollback({ to, ...options }: CallOptions & { readonly to?: string } = {}): Promise<Answer<ChangeAnswer>> {
    return this.#change("/admin/rollback", to === undefined ? {} : { to }, options);
  }

  #limit({ timeoutMs, signal }: CallOptions): Limit {
    return openLimit(timeoutMs ?? this.#connection.timeoutMs, signal);
  }

  #send(body: PredictRequest, { deadlineMs }: PredictOptions, limit: Limit, accept = "application/json") {
    const headers = { accept, ...(deadlineMs === undefined ? {} : { "x-deadline-ms": String(deadlineMs) }) };
    const request = { method: "POST", path: "/v1/predict", token: this.#token, body, headers } as const;
    return send(this.#connection, { ...request, repeatable: true }, limit);
  }

  async #predict<T extends object>(body: PredictRequest, fits: (json: T) => boolean, options: PredictOptions) {
    return this.#within(options, async (limit) => answered(await this.#send(body, options, limit), fits, limit));
  }

  #get<T extends object>(path: string, fits: (json: T) => boolean, options: CallOptions, token = this.#token) {
    const request = { method: "GET", path, token, repeatable: true } as const;
    return this.#within(options, async (limit) => answered(await send(this.#connection, request, limit), fits, limit));
  }

  #change(path: string, body: object, options: CallOptions): Promise<Answer<ChangeAnswer>> {
    // Two rollbacks go back two versions.
    const request = { method: "POST", path, token: this.#adminToken, body, repeatable: false } as const;
    const fits = ({ version }: ChangeAnswer) => typeof version === "string";
    return this.#within(options, async (limit) => answered(await send(this.#connection, request, limit), fits, limit));
  }

  async #within<T>(options: CallOptions, call: (limit: Limit) => Promise<T>): Promise<T> {
    const limit = this.#limit(options);
    try {
      return await call(limit);
    } finally {
      limit.end();
    }
  }
}

const isList = <T>(given: T | readonly T[]): given is readonly T[] => Array.isArray(given);

const rowOf = (row: string | RequestRow): RequestRow => (typeof row === "string" ? { text: row } : row);

const settingsOf = ({ tasks, topK, offsetUnit, exit }: PredictOptions): RequestSettings => ({
  ...(tasks === undefined ? {} : { tasks }),
  ...(topK === undefined ? {} : { top_k: topK }),
  ...(offsetUnit === undefined ? {} : { offset_unit: offsetUnit }),
  ...(exit === undefined ? {} : { exit }),
});

async function answered<T extends object>(
  response: Response,
  fits: (json: T) => boolean,
  limit: Limit,
): Promise<Answer<T>> {
  const json = await readAnswer(response, fits, limit);
  const { headers } = response;
  const ms = (name: string) => (headers.has(name) ? Number(headers.get(name)) : null);
  const request = {
    id: headers.get("x-request-id"),
    queueMs: ms("x-queue-time"),
    inferenceMs: ms("x-inference-time"),
    tokenizationMs: ms("x-tokenization-time"),
  };
  return { ...json, request };
}

const eventNames = ["plan", "prediction", "done", "error"] satisfies StreamEvent["event"][];

async function* eventsOf(response: Response, limit: Limit): PredictionStream {
  const type = response.headers.get("content-type") ?? "none";
  if (!response.body || !type.startsWith("text/event-stream")) {
    throw badAnswer(response, `a stream was asked for, and its content type is ${type}`);
  }
  const requestId = response.headers.get("x-request-id");
  const cut = (why: string, cause?: unknown) =>
    new FlexbertError(`the stream ended before its last event${why}`, { code: "stream_cut", requestId, cause });
  const events = sentEvents(chunksOf(response.body));
  for (;;) {
    const next = await events.next().catch((cause: Error) => {
      limit.signal.throwIfAborted();
      throw cut(` (${cause.message})`, cause);
    });
    if (next.done) throw cut("");
    limit.hold(); // what the caller does with an event is no time of the server's
    const event = parsedEvent(response, next.value);
    if (event?.event === "error") {
      const { code, message, request_id } = event.data.error;
      throw new FlexbertError(message, { code, status: response.status, requestId: request_id });
    }
    if (event) yield event; // else one of a newer server
    if (event?.event === "done") return;
    limit.renew();
  }
}

function parsedEvent(response: Response, { event, data }: { event: string; data: string }): StreamEvent | null {
  const name = eventNames.find((known) => known === event);
  if (!name) return null;
  try {
    return { event: name, data: JSON.parse(data) } as StreamEvent;
  } catch (cause) {
    throw badAnswer(response, `an event ${name} is no JSON: ${data.slice(0, 200)}`, cause);
  }
}
