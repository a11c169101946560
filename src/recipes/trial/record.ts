// The record of a run before anything is known of its training: a trial's and an import's begin alike.

import { type BaseDescription, recordedBase } from "../../checkpoints/bases/base";
import { RUN_FORMAT, type RunRecord } from "../../checkpoints/runs/run-folder";
import type { Place } from "../../model/place";
import type { Task } from "../../tasks/task";
import type { TaskData } from "./task-data";

export interface UnscoredRun extends Place, Pick<RunRecord, "id" | "method" | "seed" | "options"> {
  /** Students only. */
  readonly teacher?: RunRecord["teacher"] | undefined;
  readonly taughtBy?: RunRecord["taughtBy"] | undefined;
  readonly transfer?: RunRecord["transfer"] | undefined;
  readonly init?: RunRecord["init"] | undefined;
  readonly initLayers?: RunRecord["initLayers"] | undefined;
  /** Of layers that stay frozen beside small tensors. */
  readonly trained?: RunRecord["trained"] | undefined;
  readonly task: Pick<Task, "name" | "labels" | "metric">;
  readonly base: BaseDescription;
  readonly data: Pick<TaskData, "trainData" | "devData">;
}

/** Keys stand in the order in which run.json has always had them. */
export function unscoredRecord(run: UnscoredRun): RunRecord {
  const {
    id,
    method,
    task,
    base,
    layers,
    fork,
    seed,
    teacher,
    taughtBy,
    init,
    initLayers,
    transfer,
    trained,
    data,
    options,
  } = run;
  return {
    format: RUN_FORMAT,
    id,
    state: "running",
    method,
    task: task.name,
    base: recordedBase(base),
    layers,
    fork,
    full: fork === null,
    seed,
    ...(teacher ? { teacher } : {}),
    ...(taughtBy ? { taughtBy } : {}),
    ...(init ? { init } : {}),
    ...(initLayers ? { initLayers } : {}),
    ...(transfer ? { transfer: { sha256: transfer.sha256, rows: transfer.rows, from: transfer.from } } : {}),
    trainData: data.trainData,
    devData: data.devData,
    labels: task.labels,
    metric: task.metric,
    score: null,
    metrics: {},
    bestEpoch: null,
    steps: 0,
    ...(trained === undefined ? {} : { trained }),
    options,
    engine: "",
    threads: 0,
    seconds: 0,
    tokensPerSecond: null,
    startedAt: "",
  };
}
