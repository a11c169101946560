// What a call of the client throws. One class: programs look at `code`, people at the message.

/** Codes that the client gives by itself; others are the server's own ("unknown_task", "queue_full"). */
export type ClientCode =
  /** No connection, or one that broke before the answer began. */
  | "unreachable"
  /** `timeoutMs` is over. */
  | "timeout"
  /** What came is no answer of flexbert serve. */
  | "bad_answer"
  /** A stream that ended before its last event. */
  | "stream_cut";

export interface ErrorDetails {
  readonly code: ClientCode | (string & {});
  /** The status of HTTP; null where there was no answer. */
  readonly status?: number | null | undefined;
  /** `x-request-id`: what the server's log calls this request. */
  readonly requestId?: string | null | undefined;
  /** What `Retry-After` asks for. */
  readonly retryAfterMs?: number | null | undefined;
  readonly cause?: unknown;
}

export class FlexbertError extends Error {
  override readonly name = "FlexbertError";
  readonly code: ClientCode | (string & {});
  readonly status: number | null;
  readonly requestId: string | null;
  readonly retryAfterMs: number | null;

  constructor(message: string, { code, status, requestId, retryAfterMs, cause }: ErrorDetails) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.status = status ?? null;
    this.requestId = requestId ?? null;
    this.retryAfterMs = retryAfterMs ?? null;
  }
}
