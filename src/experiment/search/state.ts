// What a search was asked for, and what is known of it while its rounds go by.

import type { Engine } from "../../engines/engine";
import type { Reporter } from "../../messages/reporter";
import type { OpenSweep } from "../../recipes/sweep";
import type { FrontPoint } from "../../selection/front";
import type { RunContext } from "../../training/tracking/tracker";
import type { Resolver } from "../resolve";
import type { SearchBudget } from "./budget";
import type { Seen } from "./rule";
import type { PlacedTrial, SharedWork } from "./trials";

export interface SearchRequest {
  readonly resolver: Resolver;
  /** Of `auto`; null: `halving`, which trains every student. */
  readonly budget: SearchBudget | null;
  /** The results' folder. */
  readonly out: string;
  /** What trains; null: what is missing is an error. */
  readonly work: (() => Promise<RunContext<Engine>>) | null;
  readonly signal: AbortSignal;
  readonly reporter: Reporter;
}

/** What is known of a search while its rounds go by. */
export interface SearchState extends SearchRequest {
  readonly seen: Map<number, Seen>;
  readonly tasks: readonly string[];
  trials: PlacedTrial[];
  shared: SharedWork | null;
  /** Of each task and recipe what its trials share, open as long as the search: trunk and teacher are computed once. */
  readonly opened: Map<string, OpenSweep>;
  spent: number;
  rounds: number;
  front: readonly FrontPoint[];
}
