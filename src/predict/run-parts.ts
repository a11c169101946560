// A run folder as a model of one task. Apart from model.ts because a merged folder needs nothing of what this loads.

import { openBase } from "../checkpoints/bases/base";
import { loadBranch, readRecord } from "../checkpoints/runs/run-folder";
import { asDecided } from "../checkpoints/runs/tuned";
import type { Engine } from "../engines/engine";
import { modelError } from "../errors/errors";
import { embeddingTensors, layerTensors, scoped } from "../model/parameters";
import { EXITS } from "../recipes/ramps/decision";
import { findRamps } from "../recipes/ramps/find";
import { decidedBy, type Task } from "../tasks/task";
import { tracedPieces } from "./segments/traced";

/** Its branch over the base's own layers. Throws modelError (4) for a folder that is no finished run of the base that is here. */
export async function runParts(folder: string, engine: Engine, taskOf: (name: string) => Task, baseName?: string) {
  const record = await readRecord(folder);
  if (!record) throw modelError(`${folder} is neither a merged model nor a run folder. Give --model with one of them`);
  if (record.state !== "finished") throw modelError(`${folder} is not finished. Repeat the command that began it`);
  const base = await openBase(baseName ?? record.base.name, { lowerCase: record.base.lowerCase });
  if (base.sha256 !== record.base.sha256) {
    throw modelError(
      `${folder} was trained on ${record.base.name} with sha256 ${record.base.sha256.slice(0, 8)}; ` +
        `the one that is here has ${base.sha256.slice(0, 8)}. Run: flexbert pull ${record.base.name}`,
    );
  }
  const definition = asDecided(taskOf(record.task), { folder, record });
  const { kind, inputs, range } = definition;
  if (record.method === EXITS) {
    throw modelError(
      `${folder} has ramps alone. Give --model with the run that they are ramps of: ${record.teacher?.folder}`,
    );
  }
  const { fork, layers, labels, options } = record;
  const { maxLength } = options;
  const decided = { labels, range: range ?? null, ...decidedBy(definition) };
  const ramps = await findRamps({ folder, record }, definition);
  const exits = ramps ? { exits: { layers: ramps.layers, rule: ramps.rule } } : {};
  const task = { name: record.task, kind, inputs, ...decided, maxLength, fork, layers, ...exits };
  const branch = await loadBranch({ folder, record }, task, base.config);
  const shared = fork === null ? {} : { ...embeddingTensors(base.tensors), ...layerTensors(base.tensors, 0, fork) };
  const own = { ...branch, ...(await ramps?.load()) };
  const tensors = { ...shared, ...scoped(task.name, own) };
  const pieces = tracedPieces(engine, base.config, [task], tensors);
  return {
    folder,
    config: base.config,
    tokenizer: base.tokenizer,
    tasks: [task],
    weights: "float32" as const,
    cuts: [],
    pieces,
  };
}
