// What flexbert serve takes and answers, as JSON. The server, its page and the client share these types; docs/serve.md shows
// them by example. Types alone: nothing here is loaded.

/** A text, or a text and its pair. */
export interface RequestRow {
  readonly text: string;
  /** The second text, for tasks that take pairs. */
  readonly pair?: string | null;
  /** Tasks for this row; else those of the request; else all that take such rows. */
  readonly tasks?: readonly string[];
  /** Handed back with the row's answer. */
  readonly id?: string | number;
}

/** What holds for all rows of a request. */
export interface RequestSettings {
  readonly tasks?: readonly string[];
  /** Only the k most probable labels, in `scores`, as a list. */
  readonly top_k?: number;
  /** What offsets of spans count: code points where it is left out, or UTF-16 units as JavaScript's strings do. */
  readonly offset_unit?: "codepoint" | "utf16";
  /**
   * Whether texts leave early, by the rule that the model has for a task: as it has it where this is left out or "on", not at all, or where no more doubt
   * than so much is left, at most what the rule allows.
   */
  readonly exit?: "on" | "off" | number;
  /** Answers as server-sent events: see {@link StreamEvent}. */
  readonly stream?: boolean;
}

/** Body of POST /v1/predict. */
export type PredictRequest = RequestSettings & (RequestRow | { readonly rows: readonly RequestRow[] });

export interface LabelScore {
  readonly label: string;
  readonly score: number;
}

/** Probability by label; with `top_k` the most probable labels, in order. */
export type Scores = Readonly<Record<string, number>> | readonly LabelScore[];

/** The first 8 hex digits of the hash of the task's branch. */
interface Versioned {
  readonly version: string;
  /** Encoder layers that the text passed; absent where it could not leave early. */
  readonly exit_layer?: number;
}

/** Of a task with one label a row: the most probable one. */
export interface ClassAnswer extends Versioned {
  readonly label: string;
  readonly score: number;
  readonly scores: Scores;
}

/** Of a task whose answer is a number. */
export interface ValueAnswer extends Versioned {
  readonly value: number;
}

/** Of a task with any number of labels a row: those that hold. */
export interface LabelsAnswer extends Versioned {
  readonly labels: readonly string[];
  readonly scores: Scores;
}

/** A part of a text: [start, end) of the text as it was given, in code points or as `offset_unit` says. */
export interface SpanAnswer {
  readonly label: string;
  readonly start: number;
  readonly end: number;
  readonly text: string;
  /** Mean probability of its words' tags. */
  readonly score: number;
}

/** Of a task that labels words: the spans that it finds, in the order of the text. */
export interface SpansAnswer extends Versioned {
  readonly spans: readonly SpanAnswer[];
}

export type TaskAnswer = ClassAnswer | ValueAnswer | LabelsAnswer | SpansAnswer;

/** By task. */
export type TaskAnswers = Readonly<Record<string, TaskAnswer>>;

/** The merged folder's version that answered. */
export interface AnsweringModel {
  readonly version: string;
}

/** Answer to one row. */
export interface PredictAnswer {
  readonly model: AnsweringModel;
  readonly predictions: TaskAnswers;
}

export interface RowAnswer {
  readonly id?: string | number;
  readonly predictions: TaskAnswers;
}

/** Answer to `rows`: as many, in their order. */
export interface RowsAnswer {
  readonly model: AnsweringModel;
  readonly rows: readonly RowAnswer[];
}

/** Where a task lies in the model. */
export interface TaskPlace {
  readonly name: string;
  /** Shared layers under its own; null where it has embeddings of its own. */
  readonly fork: number | null;
  /** Its own layers. */
  readonly layers: number;
  readonly version: string;
}

/** What is going to run: the first event of a stream. */
export interface PlanEvent {
  readonly tasks: readonly TaskPlace[];
  /** Shared layers that run. */
  readonly depth: number;
}

/** One task's answer to one row, as soon as its layers ran. */
export interface PredictionEvent {
  readonly row: number;
  readonly task: string;
  readonly prediction: TaskAnswer;
  /** Milliseconds since the batch began. */
  readonly at_ms: number;
}

/** One run of one part of the model: "layers 0-4", or a task's name. */
export interface RanPiece {
  readonly piece: string;
  readonly rows: number;
  readonly tokens: number;
  readonly layers: number;
  readonly ms: number;
}

/** The last event of a stream. */
export interface DoneEvent {
  readonly model: AnsweringModel;
  readonly rows: number;
  /** Encoder layers that ran for these rows: shared ones once, none above where texts left, none of what was known. */
  readonly layers_run: number;
  /** Those of the batch in which the rows were. */
  readonly pieces: readonly RanPiece[];
  readonly ms: number;
}

/** Events of a stream by name: `event:` is the key, `data:` the value. */
export interface StreamEvents {
  readonly plan: PlanEvent;
  readonly prediction: PredictionEvent;
  readonly done: DoneEvent;
  /** An error after the first event; the stream ends with it. */
  readonly error: ErrorAnswer;
}

/** An event with its name. */
export type StreamEvent = {
  [Name in keyof StreamEvents]: { readonly event: Name; readonly data: StreamEvents[Name] };
}[keyof StreamEvents];

export interface ModelTask extends TaskPlace {
  readonly kind: string;
  readonly inputs: "single" | "pair";
  readonly labels: readonly string[];
  readonly maxLength: number;
  /** By what its texts leave early; absent where they do not. */
  readonly exits?: ExitsOfTask;
}

/** A rule by which a task's texts leave, how it was decided, and what dev rows did under it. */
export interface ExitsOfTask {
  /** What is told of a ramp's answer: "entropy", "probability" or "spread". */
  readonly criterion: string;
  /** A text leaves where no more doubt than this is left; a request's `exit` is at most this. */
  readonly threshold: number;
  /** Encoder layers that a text has passed where it may leave. */
  readonly stops: readonly number[];
  /** Of what the kind counts this share is kept, with this confidence; absent where a budget decided. */
  readonly promise?: { readonly keep: number; readonly confidence: number };
  /** Encoder layers that a text may take on average. */
  readonly budget?: number;
  readonly measured: {
    readonly rows: number;
    /** Rows that the promise speaks of, and what they lost in sum. */
    readonly counted: number;
    readonly lost: number;
    /** Encoder layers that a row took on average, of `top`. */
    readonly layers: number;
    readonly top: number;
    /** Rows that left at each of the stops. */
    readonly left: readonly number[];
  };
}

/** GET /v1/model */
export interface ModelAnswer {
  readonly version: string;
  readonly tags: readonly string[];
  readonly base: { readonly name: string; readonly layers: number };
  readonly tasks: readonly ModelTask[];
  readonly precision: "float32" | "int8";
}

/** An inference process. */
export interface ProcessStats {
  readonly pid: number;
  readonly alive: boolean;
  readonly rss_bytes: number;
  /** How often it was started again in this place. */
  readonly restarts: number;
}

/** GET /v1/stats: rates and times over the last seconds. */
export interface StatsAnswer {
  readonly requests_per_second: number;
  readonly texts_per_second: number;
  /** null where nothing was answered lately. */
  readonly p50_ms: number | null;
  readonly p99_ms: number | null;
  /** What waits, and how long what comes now would wait. */
  readonly queue: { readonly rows: number; readonly tokens: number; readonly delay_ms: number };
  /** Those that are open, the current one first: more than one while an old one answers its last requests. */
  readonly versions: readonly { readonly version: string; readonly requests: number }[];
  /** How often another version took over. */
  readonly swaps: number;
  /** The last version that could not be served, and why; null where there was none since the last swap. */
  readonly refused: { readonly version: string | null; readonly reason: string; readonly time: string } | null;
  readonly processes: readonly ProcessStats[];
  readonly draining: boolean;
}

/** A change of the folder's current version. */
export interface HistoryItem {
  readonly version: string;
  /** ISO 8601, UTC. */
  readonly time: string;
  readonly command: string;
  readonly note: string | null;
  readonly tags: readonly string[];
  readonly isCurrent: boolean;
  /** false where gc removed it. */
  readonly isThere: boolean;
  readonly tasks: readonly string[] | null;
}

/** GET /v1/history: oldest first. Needs an admin token. */
export interface HistoryAnswer {
  /** What is served. */
  readonly current: string;
  readonly history: readonly HistoryItem[];
}

/** Body of POST /admin/rollback: the version before, where it names none. */
export interface RollbackRequest {
  /** A version's hash, its beginning, or a tag. */
  readonly to?: string;
}

/** POST /admin/reload and /admin/rollback: what answers new requests from then on. */
export interface ChangeAnswer {
  readonly version: string;
  readonly changed: boolean;
  /** The version before, where it changed. */
  readonly from?: string;
  /** Tasks that answer by other weights, or are new. */
  readonly tasks?: readonly string[];
  readonly removed?: readonly string[];
  /** From its being seen to its being current. */
  readonly ms?: number;
}

export interface ApiError {
  /** What a program asks for: "unknown_task", "queue_full". */
  readonly code: string;
  /** For people: the thing, the value, the next step. */
  readonly message: string;
  readonly request_id: string;
}

/** Every answer that is no success. */
export interface ErrorAnswer {
  readonly error: ApiError;
}
