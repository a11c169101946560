// The rows that ramps are trained and judged on, as they read them: opened for all seeds of a run's ramps, and computed when the first
// asks.

import path from "node:path";
import type { BaseDescription } from "../../checkpoints/bases/base";
import type { StoredRun } from "../../checkpoints/runs/run-folder";
import type { Engine } from "../../engines/engine";
import type { ExecutionOptions } from "../../settings/training";
import type { Task } from "../../tasks/task";
import type { RunContext } from "../../training/tracking/tracker";
import type { TaskData } from "../trial/task-data";
import { TRUNK_SCRATCH } from "../trial/trunks";
import { type RampStates, rampStates, type WholeModel, wholeModel } from "./states";

export interface RampRowsRequest {
  readonly model: StoredRun;
  readonly task: Task;
  readonly base: BaseDescription;
  readonly data: TaskData;
  readonly layers: readonly number[];
  readonly run: Pick<ExecutionOptions, "checkpoints" | "cacheBudget">;
}

export interface OpenStates {
  readonly model: WholeModel;
  readonly train: RampStates;
  readonly dev: RampStates;
}

export interface RampRows {
  readonly data: TaskData;
  states(): Promise<OpenStates>;
  dispose(): Promise<void>;
}

export function openRampRows(
  { model: run, task, base, data, layers, run: work }: RampRowsRequest,
  context: RunContext<Engine>,
): RampRows {
  const opened: RampStates[] = [];
  const compute = async (): Promise<OpenStates> => {
    const model = await wholeModel(run, task, base);
    const folder = path.join(work.checkpoints, TRUNK_SCRATCH);
    const split = async (name: "train" | "dev", budget: number) => {
      const states = await rampStates(
        model,
        data[name],
        layers,
        { task, label: `${task.name} ${name}`, budget, folder },
        context,
      );
      opened.push(states);
      return states;
    };
    const dev = await split("dev", work.cacheBudget);
    return { model, dev, train: await split("train", Math.max(0, work.cacheBudget - dev.memoryBytes)) };
  };
  let states: Promise<OpenStates> | null = null;
  return {
    data,
    states() {
      states ??= compute();
      return states;
    },
    async dispose() {
      for (const one of opened) await one.dispose();
    },
  };
}
