// What was decided last of a run's ramps, in one file beside them: exits/of-<id of the run>.json. Whatever is decided next takes its
// place, "no exits" too, so that a rule never outlives what was decided after it.

import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import type { StoredRun } from "../../checkpoints/runs/run-folder";
import { modelError, oneLine } from "../../errors/errors";
import type { Asked } from "../../exits/asked";
import { type DecidedExits, exitProblem } from "../../exits/exits";
import { writeFileAtomic } from "../../files/atomic";
import { formatProblem, stamped } from "../../files/format";
import { canonicalJson } from "../../files/hash";
import { parseJson } from "../../files/json";
import { ownLayers } from "../../model/place";
import type { Leaving } from "../../tasks/kinds/kind";
import type { Task } from "../../tasks/task";
import type { CurvePoint } from "./curve";
import type { Decision } from "./decide";

/** What trains ramps, by its name in folders and records. */
export const EXITS = "exits";

const FORMAT = 1;

/** Where the ramps of a run lie, and what was decided of them. */
export const rampsFolder = ({ folder }: Pick<StoredRun, "folder">): string =>
  path.join(path.dirname(path.dirname(path.resolve(folder))), EXITS);

export const decisionFile = (run: StoredRun): string => path.join(rampsFolder(run), `of-${run.record.id}.json`);

/** What decides labels beside logits, which doubt and loss rest on: tuned thresholds are the run's. */
const thresholdOf = ({ record: { tuned } }: StoredRun, { threshold }: Task) =>
  tuned ? tuned.thresholds : (threshold ?? null);

/** A ramp's own dev score, a fraction. */
export interface RampScore {
  /** Encoder layers under it. */
  readonly layer: number;
  readonly score: number | null;
}

/** What stands beside a rule, or in its place. */
export interface DecidedOn {
  readonly scores: readonly RampScore[];
  /** Score against layers on dev: through the ramps that are asked; through all where none is. */
  readonly curve: readonly CurvePoint[];
}

interface NewDecision extends DecidedOn {
  readonly ramps: StoredRun;
  readonly asked: Asked & { readonly criterion: string };
  readonly decision: Decision;
}

/** For the weights and thresholds that the run has. */
export async function writeDecision(
  run: StoredRun,
  task: Task,
  { ramps, asked, decision: { exits, ...why }, scores, curve }: NewDecision,
): Promise<void> {
  const of = {
    model: run.record.sha256,
    threshold: thresholdOf(run, task),
    ramps: ramps.record.sha256,
    dev: ramps.record.devData,
  };
  const file = stamped({ format: FORMAT, of, asked, exits, ...why, scores, curve });
  await writeFileAtomic(decisionFile(run), `${JSON.stringify(file, null, 2)}\n`);
}

export interface StoredDecision extends DecidedOn {
  /** sha256 of the ramps that were decided on. */
  readonly ramps: string;
  /** What the task's threshold was; null where it has none. */
  readonly threshold: unknown;
  readonly rule: DecidedExits | null;
  /** Why there is no rule; null where there is one. */
  readonly why: string | null;
}

/** What was decided last of a run's ramps; null where nothing was for the weights that it has. Throws modelError (4) for a damaged file. */
export async function readDecision(run: StoredRun): Promise<StoredDecision | null> {
  const file = decisionFile(run);
  if (!existsSync(file)) return null;
  let json: unknown;
  try {
    json = parseJson(await readFile(file, "utf8"));
  } catch (error) {
    throw damaged(file, oneLine(error));
  }
  const foreign = formatProblem(json, FORMAT);
  if (foreign !== null) throw modelError(`${file} ${foreign}`);
  const { of, exits, why, scores, curve } = Object(json) as Readonly<Record<string, unknown>>;
  const { model, ramps, threshold = null } = Object(of) as Readonly<Record<string, unknown>>;
  if (typeof ramps !== "string" || typeof model !== "string") throw damaged(file, "it does not say what it is of");
  if (model !== run.record.sha256) return null;
  const [, top] = ownLayers(run.record);
  const problem = exits === null ? null : exitProblem(exits, null, top);
  if (problem !== null) throw damaged(file, problem);
  if (!isList(scores, ["layer"]) || !isList(curve, ["threshold", "layers"])) {
    throw damaged(file, "its scores or its curve are none");
  }
  const reason = typeof why === "string" ? why : "none held what was asked";
  return {
    ...{ ramps, threshold, rule: exits as DecidedExits | null, why: exits === null ? reason : null },
    scores: scores as StoredDecision["scores"],
    curve: curve as StoredDecision["curve"],
  };
}

/** What was decided for the task as it is; without a rule where its thresholds or criteria are others now. */
export async function decisionFor(run: StoredRun, task: Task, { criteria }: Leaving): Promise<StoredDecision | null> {
  const stored = await readDecision(run);
  if (!stored?.rule) return stored;
  const none = (why: string): StoredDecision => ({ ...stored, rule: null, why });
  if (canonicalJson(stored.threshold) !== canonicalJson(thresholdOf(run, task))) {
    return none(`what was decided rests on the threshold ${JSON.stringify(stored.threshold)}, which is another now`);
  }
  const { criterion } = stored.rule;
  return Object.hasOwn(criteria, criterion)
    ? stored
    : none(`tasks of ${task.kind.name} have no criterion ${criterion}`);
}

/** Objects with these numbers, and a score or none. */
const isList = (given: unknown, numbers: readonly string[]): boolean =>
  Array.isArray(given) &&
  given.every((one: unknown) => {
    const values = Object(one) as Readonly<Record<string, unknown>>;
    return (
      numbers.every((name) => Number.isFinite(values[name])) &&
      (values["score"] === null || Number.isFinite(values["score"]))
    );
  });

const damaged = (file: string, problem: string) =>
  modelError(`${file} is damaged (${problem}). Remove it and run: flexbert exits`);
