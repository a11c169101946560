// How long work tells what it does, without knowing about terminals. The cli prints; tests collect.

export interface ProgressBar {
  /** Work done since the last call, and a short note such as "loss 0.412". */
  advance(amount: number, note?: string): void;
  /** Removes the bar; what is worth keeping goes to `log`. */
  end(): void;
}

export interface Reporter {
  log(line: string): void;
  warn(line: string): void;
  /** Starts a bar of `total` units with an ETA. `done` units were finished by an earlier process. */
  progress(label: string, total: number, done?: number): ProgressBar;
}

/** What long work gets beside its options. */
export interface WorkContext<Engine> {
  readonly engine: Engine;
  readonly reporter: Reporter;
  /** Aborted on Ctrl-C: work stops at the next step, with its state saved. */
  readonly signal: AbortSignal;
}

/** Thrown when the signal stopped the work. What was finished is kept; `folder` holds a saved state, if one was due. */
export class Interrupted extends Error {
  readonly folder: string | null;

  constructor(folder: string | null, message = "stopped; nothing that was finished is lost") {
    super(folder ? `stopped; the state is saved in ${folder}` : message);
    this.name = "Interrupted";
    this.folder = folder;
  }
}
