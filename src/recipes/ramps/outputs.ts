// What ramps and the model under them say of rows, kept beside the ramps: thresholds are chosen from it, again and again, without
// computing anything. exit-logits.safetensors holds all dev rows, and of the train rows some, evenly spread, which decide which
// ramps pay. A file for other ramps or other rows, or a damaged one, is made anew.

import { existsSync } from "node:fs";
import path from "node:path";
import { readSafetensors, writeSafetensors } from "../../checkpoints/formats/safetensors";
import { modelFile, type StoredRun } from "../../checkpoints/runs/run-folder";
import type { Engine } from "../../engines/engine";
import { modelError, UserError } from "../../errors/errors";
import type { ExitOutputs } from "../../exits/thresholds";
import { sha256File } from "../../files/hash";
import { branchAxes } from "../../model/branch";
import { float32, type HostTensors, int32 } from "../../model/tensors";
import { outputSize, type Task } from "../../tasks/task";
import { splitLogits } from "../../training/loop/branch-source";
import { logitsStep } from "../../training/step/step";
import type { RunContext } from "../../training/tracking/tracker";
import type { RampRows } from "./rows";
import { rampsTask } from "./task";

const FILE = "exit-logits.safetensors";

/** Train rows that are kept. */
const TRAIN_ROWS = 2048;

export interface SplitOutputs extends ExitOutputs {
  /** [rows, ramps x outputs], as they are stored. */
  readonly data: Float32Array;
}

export interface StoredOutputs {
  readonly dev: SplitOutputs;
  readonly train: SplitOutputs;
  /** Of the split's rows those that are kept, in its order. */
  readonly trainRows: Int32Array;
}

/** @param layers that the ramps stand on */
export async function rampOutputs(
  ramps: StoredRun,
  task: Task,
  layers: readonly number[],
  rows: RampRows,
  context: RunContext<Engine>,
): Promise<StoredOutputs> {
  const stored = await readStored(ramps, task, layers, rows);
  if (stored) return stored;
  const { model, train, dev } = await rows.states();
  const wide = rampsTask(task, layers);
  const head = await wide.kind.head(model.config);
  const place = { fork: layers.length + 1, layers: 0 };
  const program = await context.engine.load(
    await loadRamps(ramps),
    { logits: logitsStep(place, model.config, head) },
    { logits: branchAxes },
  );
  try {
    const ofDev = await splitLogits(program, "logits", dev.source, wide, context.signal);
    const ofTrain = await splitLogits(program, "logits", train.source, wide, context.signal);
    const width = outputSize(task);
    const kept = spread(train.source.rows.lengths.length, TRAIN_ROWS);
    const some = (data: Float32Array, wide: number) => {
      const own = new Float32Array(kept.length * wide);
      for (const [i, row] of kept.entries()) own.set(data.subarray(row * wide, (row + 1) * wide), i * wide);
      return float32([kept.length, wide], own);
    };
    const tensors: HostTensors = {
      "dev/ramps": float32([ofDev.rows, ofDev.width], ofDev.data),
      "dev/model": float32([ofDev.rows, width], dev.logits),
      "train/ramps": some(ofTrain.data, ofTrain.width),
      "train/model": some(train.logits, width),
      "train/rows": int32([kept.length], kept),
    };
    await writeSafetensors(path.join(ramps.folder, FILE), tensors, metadataOf(ramps));
    return outputsOf(tensors, layers, width);
  } finally {
    program.dispose();
  }
}

/** The ramps of a finished run, checked against the hash in its record. Throws modelError (4). */
export async function loadRamps({ folder, record }: StoredRun): Promise<HostTensors> {
  const file = modelFile(folder);
  const advice = `Remove ${folder} and repeat the command that trained it`;
  if (!existsSync(file)) throw modelError(`${file} is missing. ${advice}`);
  const sha256 = await sha256File(file);
  if (sha256 !== record.sha256) {
    throw modelError(`${file} has sha256 ${sha256}, its run.json says ${record.sha256}. ${advice}`);
  }
  return (await readSafetensors(file)).tensors;
}

/** So many places among `of`, as evenly as whole numbers allow. */
function spread(of: number, most: number): Int32Array {
  const count = Math.min(of, most);
  return Int32Array.from({ length: count }, (_, i) => Math.floor((i * of) / count));
}

const metadataOf = ({ record }: StoredRun) => ({
  ramps_sha256: record.sha256 as string,
  dev_sha256: record.devData.sha256,
  train_sha256: record.trainData.sha256,
});

function outputsOf(tensors: HostTensors, layers: readonly number[], width: number): StoredOutputs {
  const values = (name: string) => tensors[name]?.data as Float32Array;
  const split = (name: "dev" | "train"): SplitOutputs => {
    const [data, model] = [values(`${name}/ramps`), values(`${name}/model`)];
    const wide = layers.length * width;
    const ramp = (i: number) => (row: number) => data.subarray(row * wide + i * width, row * wide + (i + 1) * width);
    return {
      data,
      top: layers.length + 1,
      ramps: new Map(layers.map((layer, i) => [layer, ramp(i)])),
      full: (row) => model.subarray(row * width, (row + 1) * width),
      rows: model.length / width,
    };
  };
  return { dev: split("dev"), train: split("train"), trainRows: tensors["train/rows"]?.data as Int32Array };
}

async function readStored(
  ramps: StoredRun,
  task: Task,
  layers: readonly number[],
  { data }: RampRows,
): Promise<StoredOutputs | null> {
  const file = path.join(ramps.folder, FILE);
  if (!existsSync(file)) return null;
  try {
    const { tensors, metadata } = await readSafetensors(file);
    const wanted = metadataOf(ramps);
    if (Object.entries(wanted).some(([name, value]) => metadata[name] !== value)) return null;
    const width = outputSize(task);
    const fits = (name: string, rows: number, columns: number) =>
      tensors[name]?.data instanceof Float32Array && tensors[name].data.length === rows * columns;
    const devRows = data.dev.lengths.length;
    const kept = tensors["train/rows"]?.data;
    if (!(kept instanceof Int32Array) || kept.some((row) => row < 0 || row >= data.train.lengths.length)) return null;
    const whole =
      fits("dev/ramps", devRows, layers.length * width) &&
      fits("dev/model", devRows, width) &&
      fits("train/ramps", kept.length, layers.length * width) &&
      fits("train/model", kept.length, width);
    return whole ? outputsOf(tensors, layers, width) : null;
  } catch (error) {
    if (error instanceof UserError) return null;
    throw error;
  }
}
