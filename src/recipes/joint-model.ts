// What joint training leaves: its encoder as a base, in the folder of its run, and of each task a finished run of k = 0 on that base.

import path from "node:path";
import { type BaseDescription, outlineBase } from "../checkpoints/bases/base";
import { writeOutline } from "../checkpoints/bases/random-base";
import { tokenizerSha256 } from "../checkpoints/bases/tokenizer-files";
import { baseSha256 } from "../checkpoints/bases/weights";
import { createRun, finishRun, methodFolder, type RunRecord, type StoredRun } from "../checkpoints/runs/run-folder";
import { JOINT } from "../checkpoints/runs/run-record";
import { id8 } from "../files/hash";
import { kName, type Place } from "../model/place";
import type { HostTensors } from "../model/tensors";
import { recorded } from "../options/settings";
import { type ExecutionOptions, type TrainingOptions, trainingSettings } from "../settings/training";
import { headOf, type Task } from "../tasks/task";
import type { Trained } from "../training/loop/epochs";
import { ownTensors } from "../training/loop/train-joint";
import { configFile } from "./config-file";
import { finetune } from "./finetune";
import { unscoredRecord } from "./trial/record";
import type { TaskData } from "./trial/task-data";

/** Of a joint training what this reads. */
interface Joint {
  readonly trial: StoredRun;
  readonly request: {
    readonly base: BaseDescription;
    readonly training: TrainingOptions;
    readonly run: ExecutionOptions;
    readonly seed: number;
  };
  readonly tasks: readonly { readonly task: Task; readonly data: TaskData }[];
}

/** The joint encoder as a base, of each task a finished run of k = 0 on it, and the run itself, whose record comes last. */
export async function finishJoint(
  { trial, request, tasks }: Joint,
  record: RunRecord,
  { branch, tasks: scores = {}, complete: _, joules: __, compileSeconds: ___, ...outcome }: Trained,
): Promise<StoredRun> {
  const { folder } = trial;
  await writeOutline(request.base, folder);
  const encoder = Object.fromEntries(Object.entries(branch).filter(([name]) => !name.startsWith("task/")));
  const outline = await outlineBase(folder);
  const { config, tokenizer, lowerCase } = outline;
  const base = { ...outline, sha256: baseSha256(config, encoder, lowerCase, tokenizerSha256(tokenizer)) };
  for (const { task, data } of tasks) {
    const { name } = task;
    const rows = data.train.lengths.length;
    const share = rows / tasks.reduce((sum, one) => sum + one.data.train.lengths.length, 0);
    const head = headOf(task, config);
    const own = { ...encoder, ...ownTensors(name, branch) };
    const place: Place = { fork: config.numHiddenLayers, layers: 0 };
    const options = recorded(trainingSettings, request.training);
    const id = id8({ method: JOINT, of: record.id, task: name });
    const headRecord: RunRecord = {
      ...unscoredRecord({ id, method: JOINT, task, base, ...place, seed: request.seed, data, options }),
      ...{ engine: record.engine, threads: record.threads, startedAt: record.startedAt },
      ...{ ...outcome, seconds: share * outcome.seconds, ...scores[name] },
    };
    const at = path.join(
      methodFolder(request.run.checkpoints, base.name, name, finetune.method),
      `${kName(place)}-joint-seed${request.seed}-${id}`,
    );
    await createRun(at, headRecord, configFile(task, base, request.run, { joint: path.resolve(folder) }));
    await finishRun(
      at,
      headRecord,
      Object.fromEntries(head.map((one) => [one.name, own[one.name] as HostTensors[string]])),
    );
  }
  return { folder, record: await finishRun(folder, { ...record, ...outcome }, encoder) };
}
