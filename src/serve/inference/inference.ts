// What the HTTP process asks of those that hold the engine: batches of encoded rows in, each task's logits out as soon as
// its layers ran, and versions opened and closed beside each other.

/** A row as the model reads it, and the tasks that are asked of it. */
export interface BatchRow {
  readonly ids: Int32Array;
  readonly typeIds: Int32Array;
  readonly tasks: readonly string[];
  /** As much doubt as may be left where it leaves early, beside what its tasks' rules allow: below 0 it does not. Absent: what they allow. */
  readonly exit?: number | undefined;
}

/** Logits of some rows of a batch for one task. */
export interface BatchPart {
  readonly task: string;
  /** Positions in the batch. */
  readonly rows: readonly number[];
  /** [rows, outputs], or [tokens of the rows, outputs] of a task that labels words */
  readonly logits: Float32Array;
  readonly outputs: number;
  /** Encoder layers that the rows passed, where they might have left early. */
  readonly layer?: number | undefined;
  /** Milliseconds since the process began the batch. */
  readonly at: number;
}

/** One run of one piece of the model: a stretch of the trunk, or a task's branch. */
export interface PieceTime {
  readonly piece: string;
  readonly rows: number;
  readonly tokens: number;
  /** Encoder layers that it has. */
  readonly layers: number;
  readonly ms: number;
}

export interface BatchRun {
  readonly ms: number;
  readonly pieces: readonly PieceTime[];
}

export interface ProcessState {
  readonly pid: number;
  readonly alive: boolean;
  readonly rssBytes: number;
  /** How often it was started again in this place. */
  readonly restarts: number;
}

export interface Inference {
  readonly processes: number;
  /** Of each process. */
  readonly threads: number;
  /** Batches that run at the same time. */
  readonly slots: number;
  /**
   * Opens and warms a version in every process, beside those that are open. Throws UserError where it cannot be served:
   * what was open stays.
   */
  open(version: string): Promise<void>;
  /** Frees what no other open version uses: after the version's last batch. */
  close(version: string): Promise<void>;
  /**
   * Hands out parts as they come, and ends with the last. Rejects with {@link InferenceLost} where the process died, and
   * the one that tried again did too.
   */
  run(version: string, rows: readonly BatchRow[], onPart: (part: BatchPart) => void): Promise<BatchRun>;
  state(): readonly ProcessState[];
  /** Fresh processes take over between two batches, with every version that is open; the old ones end. */
  renew(): Promise<void>;
  shutdown(): Promise<void>;
}

export class InferenceLost extends Error {}
