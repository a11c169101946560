// The versions that an inference process has open beside each other. Pieces of equal bytes are one piece for all of them, so a
// version that changes one task costs one branch, and gives that branch back when it is closed. None counts as open before
// every piece of it that is new here has run.

import { tokenRows } from "../../batches/rows";
import type { Engine } from "../../engines/engine";
import { modelError, oneLine } from "../../errors/errors";
import type { Pace } from "../../files/hash";
import { exitRules, rowExits, stayingExits } from "../../predict/exits";
import { openModel, type ServedModel, type ServedTask } from "../../predict/model";
import type { ExitsOfCall } from "../../predict/segments/pieces";
import { openPiecePool } from "../../predict/segments/shared";
import type { WeightForm } from "../../settings/engine";
import { widthProblem } from "../../tasks/task";
import type { OpenedVersion } from "./calls";

export interface HeldVersion extends OpenedVersion, Pick<ServedModel, "run" | "dispose"> {
  /**
   * Which tasks' rows may leave early in a batch.
   * @param wants names of tasks, a list for each row
   * @param doubts of each row as much as may be left: below 0 it does not leave
   */
  leaving(wants: readonly (readonly string[])[], doubts: Float64Array): ExitsOfCall;
}

export interface Versions {
  /**
   * Opens a version and runs what is new of it. Throws UserError where it cannot be served: what else is open stays as it is.
   * @param version an id
   */
  open(version: string): Promise<HeldVersion>;
  /** Pieces that are open, each once. */
  pieces(): number;
}

/** @param pace awaited before each step of opening: batches of versions that serve go first */
export function openVersions(
  engine: Engine,
  { folder, weights }: { readonly folder: string; readonly weights?: WeightForm | undefined },
  pace: Pace,
): Versions {
  const pool = openPiecePool();
  return {
    async open(version) {
      const fresh = new Set<string | null>();
      const model = await openModel(folder, engine, {
        taskOf: (name) => {
          throw new Error(`${name} was looked up, though a merged folder describes its tasks`);
        },
        ...{ version, weights, pace, texts: false },
        exits: (tasks) => rulesOf(tasks),
        share: (pieces, keys) => pool.share(pieces, keys, (task) => void fresh.add(task)),
      });
      try {
        const { config, tasks, run, dispose } = model;
        const rules = rulesOf(tasks);
        // A request may have exits off: those pieces are open too.
        if (Object.keys(rules).length > 0) await model.open();
        const unproved = fresh.has(null) ? tasks : tasks.filter(({ name }) => fresh.has(name));
        const leaving: HeldVersion["leaving"] = (wants, doubts) => rowExits(tasks, rules, wants, doubts);
        await warm(model, unproved, version, pace, stayingExits(unproved, rules));
        return {
          ...{ run, dispose, leaving, weights: model.weights ?? "float32", vocabSize: config.vocabSize },
          tasks: tasks.map(({ name }) => name),
          maxLength: Math.max(1, ...tasks.map(({ maxLength }) => maxLength)),
        };
      } catch (error) {
        model.dispose();
        throw error;
      }
    },
    pieces: () => pool.size(),
  };
}

const rulesOf = (tasks: readonly ServedTask[]) => exitRules(tasks, undefined, { folder: "", named: false });

/** Lengths whose batches are like those of the texts up to them. */
const WARM_LENGTHS = [8, 16, 32, 64, 128, 256, 512];

/**
 * Runs some tasks on a row of each length, and looks at what they give.
 * @param staying their exits where no row leaves
 */
async function warm(
  { run, config }: ServedModel,
  tasks: readonly ServedTask[],
  version: string,
  pace: Pace,
  staying: ExitsOfCall,
): Promise<void> {
  if (tasks.length === 0) return;
  const longest = Math.max(...tasks.map(({ maxLength }) => maxLength));
  const lengths = [...WARM_LENGTHS.filter((length) => length < longest), longest];
  for (const length of lengths) {
    // Every task takes the rows of its own lengths and the one after them.
    const wants = tasks.filter(({ maxLength }) => length <= maxLength);
    const ids = Int32Array.from({ length }, (_, i) => (7 * i + 1) % config.vocabSize);
    const rows = tokenRows([{ ids, typeIds: new Int32Array(length), truncated: 0 }], 0);
    await pace();
    const names = wants.map((task) => task.name);
    const able = Object.fromEntries(Object.entries(staying).filter(([name]) => names.includes(name)));
    const runs = [
      { names, exits: {} },
      { names: Object.keys(able), exits: able }, // every piece between its stops
    ];
    try {
      for (const { names, exits } of runs.filter(({ names }) => names.length > 0)) {
        for await (const { task: name, logits } of run(rows, [names], undefined, exits)) {
          const task = wants.find((one) => one.name === name) as ServedTask;
          requireLogits(task, logits.shape, logits.data as Float32Array);
        }
      }
    } catch (error) {
      throw modelError(`version ${version} opens and does not run (${oneLine(error)}). Merge again`, error);
    }
  }
}

function requireLogits(task: ServedTask, shape: readonly number[], logits: Float32Array): void {
  const problem = widthProblem(task, shape);
  if (problem !== null) throw new Error(problem);
  if (!logits.every(Number.isFinite)) throw new Error(`${task.name} gives values that are no numbers`);
}
