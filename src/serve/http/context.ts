// What the routes share.

import type { HistoryItem } from "../../client/api";
import type { Asking } from "../ask";
import type { Inference } from "../inference/inference";
import type { Auth } from "./auth";
import type { Metrics } from "./metrics";
import type { RowLimits } from "./rows";

/** A change of the folder, and what it holds: who builds the server knows how. */
export interface FolderControl {
  /** What the versions are, oldest first. */
  history(): Promise<readonly HistoryItem[]>;
  /** Makes another version the folder's current one: the one before by default. Throws UserError. */
  rollback(to: string | undefined): Promise<void>;
  /** What the server is pinned to; null where it follows the current version. */
  readonly pinned: string | null;
}

export interface HttpLimits extends RowLimits {
  readonly maxBodyBytes: number;
}

export interface ServerContext extends Asking {
  readonly inference: Inference;
  readonly folder: FolderControl;
  readonly auth: Auth;
  readonly metrics: Metrics;
  readonly limits: HttpLimits;
  /** Whether logs may hold the texts of requests. */
  readonly logTexts: boolean;
  readonly drain: Drain;
}

/** Of a server that is about to end: it is not ready, takes nothing new, and answers what it took. */
export interface Drain {
  readonly isDraining: boolean;
  /** A request came; and had its answer, or lost its client. */
  opened(): void;
  closed(): void;
}
