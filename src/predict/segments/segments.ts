// The merged model in pieces: the trunk cut where branches leave it, and each branch, every piece a program of its own. A
// call runs for each row only the pieces that its tasks need; rows that ask for different tasks share the pieces under them.
// Padding is not computed (model/packed.ts). What a shallow fork gives is handed out before the deeper layers run, and rows whose
// ramp is sure leave there: the others go on without them.

import { type LayerCost, layerCost } from "../../batches/layer-cost";
import { groupRows } from "../../batches/packed";
import type { TokenRows } from "../../batches/rows";
import type { Engine } from "../../engines/engine";
import type { EncoderConfig } from "../../model/config";
import {
  type BranchPiece,
  branchPiece,
  type CallExits,
  type ExitsOfCall,
  type OpenPiece,
  openTrunkPieces,
  type PieceRun,
  type PieceSource,
  type SegmentedTask,
  type TaskLogits,
} from "./pieces";
import { runGroup } from "./run-group";

type Device = Engine["device"];

export interface Segments {
  /**
   * Logits of rows, each for tasks of its own, as soon as they are there: a task's may come in several parts.
   * @param wants names of tasks, a list for each row
   * @param onRun called after each run of a piece
   */
  run(
    rows: TokenRows,
    wants: readonly (readonly string[])[],
    onRun?: (run: PieceRun) => void,
    exits?: ExitsOfCall,
  ): AsyncGenerator<TaskLogits, void, undefined>;
  /**
   * Opens the pieces of some tasks now, all by default: else each is opened when it is first needed.
   * @param stops of tasks whose rows will leave early
   */
  open(tasks?: readonly string[], stops?: Readonly<Record<string, Pick<CallExits, "stops">>>): Promise<void>;
  /**
   * Puts another branch in a task's place, and leaves every other piece as it is. A call that is under way ends with the
   * branch with which it began, or with this one. Throws Error for a fork at which the trunk is not cut.
   */
  replace(task: SegmentedTask, open: OpenPiece): Promise<void>;
  dispose(): void;
}

/**
 * @param cuts layers at which the trunk is cut beside the tasks' forks
 * @param device where the pieces run
 * @param cost what decides which rows go through attention together
 */
export function openSegments(
  config: EncoderConfig,
  tasks: readonly SegmentedTask[],
  source: PieceSource,
  cuts: readonly number[] = [],
  device: Device = "cpu",
  cost: LayerCost = layerCost(config, device),
): Segments {
  const trunk = openTrunkPieces(tasks, source, cuts);
  const branches = new Map<string, BranchPiece>(
    tasks.map((task) => [task.name, branchPiece(task, () => source.branch(task.name), source)]),
  );
  const stopsOf = (exits: Readonly<Record<string, Pick<CallExits, "stops">>>) => {
    const stops = Object.values(exits).flatMap((one) => one.stops);
    return stops.length > 0 ? (source.exits?.cuts ?? stops) : [];
  };

  return {
    async *run(rows, wants, onRun, exits = {}) {
      const all = [...wants.keys()].filter((row) => (wants[row] as readonly string[]).length > 0);
      requireKnown(wants, branches);
      const work = { rows, wants, config, onRun, exits, cost };
      const pieces = trunk.at(stopsOf(exits));
      for (const group of groupRows(rows.lengths, all, cost)) {
        yield* runGroup(work, group, pieces, [...branches.values()]);
      }
    },
    async open(names, exits = {}) {
      const wanted = [...branches].filter(([name]) => names?.includes(name) ?? true).map(([, branch]) => branch);
      const deepest = Math.max(-1, ...wanted.map(({ fork }) => fork ?? -1));
      const own = Object.fromEntries(Object.entries(exits).filter(([name]) => wanted.some((one) => one.name === name)));
      for (const { to, program } of trunk.at(stopsOf(own))) if (to <= deepest) await program();
      for (const branch of wanted) {
        const stops = own[branch.name]?.stops ?? [];
        const { parts, rest } = branch.cutAt(stops);
        for (const { program } of [...parts, ...stops.map((stop) => branch.ramp(stop)), rest]) await program();
      }
    },
    async replace(task, open) {
      if (task.fork !== null && !trunk.at().some(({ to }) => to === task.fork)) {
        throw new Error(`${task.name} forks at layer ${task.fork}, where the trunk is not cut`);
      }
      const next = branchPiece(task, open, source);
      await next.program();
      const before = branches.get(task.name);
      branches.set(task.name, next);
      before?.dispose();
    },
    dispose() {
      trunk.dispose();
      for (const { dispose } of branches.values()) dispose();
    },
  };
}

function requireKnown(wants: readonly (readonly string[])[], branches: ReadonlyMap<string, unknown>): void {
  const unknown = wants.flat().find((name) => !branches.has(name));
  if (unknown !== undefined) throw new Error(`the model is open without the task ${unknown}`);
}
