// A session of TensorFlow's C library over a SavedModel, through tfjs-node's addon. Its file exists for the moment of
// loading only; the graph and the variables live in the session.

import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import type { DType } from "../../compile/graph/graph";
import { SAVED_MODEL, SERVING_TAG, type SignatureTensor } from "../../compile/tensorflow/saved-model";
import { failure, UserError } from "../../errors/errors";
import { isRunning } from "../../files/process-start";
import { storageFailure } from "../../files/storage-failure";
import { float32, type HostTensor, type HostTensors, int32 } from "../../model/tensors";

/** tfjs-node's addon, as far as it is used here. Tensors and models are numbers. */
export interface SessionBinding {
  readonly TF_FLOAT: number;
  readonly TF_INT32: number;
  loadSavedModel(folder: string, tags: string): number;
  deleteSavedModel(model: number): void;
  /** Names are joined by commas. Blocks until the run is over. */
  runSavedModel(
    model: number,
    inputs: readonly number[],
    inputNames: string,
    outputNames: string,
  ): { id: number; shape: readonly number[] }[];
  createTensor(shape: readonly number[], dtype: number, elements: Float32Array | Int32Array): number;
  deleteTensor(tensor: number): void;
  /** A copy. */
  tensorDataSync(tensor: number): Float32Array | Int32Array;
}

/** Which outputs a call gives, and of what type each is. */
export type ResultTypes = ReadonlyMap<string, { readonly dtype: DType }>;

/** Of a signature, what a session asks for: the graph's names of its tensors. */
export interface NamedTensors {
  readonly inputs: Readonly<Record<string, Pick<SignatureTensor, "tensor">>>;
  readonly outputs: Readonly<Record<string, Pick<SignatureTensor, "tensor">>>;
}

export interface TensorflowSession {
  /** Runs a signature and gives the named outputs. */
  run(signature: NamedTensors, inputs: HostTensors, results: ResultTypes): HostTensors;
  close(): void;
}

const FOLDER_PREFIX = "flexbert-savedmodel-";

export function openTensorflowSession(binding: SessionBinding, file: Uint8Array): TensorflowSession {
  return sessionOf(binding, load(binding, file));
}

/** A session over a model that lies in a folder, with its variables in the checkpoint there. */
export function openStoredSession(binding: SessionBinding, folder: string): TensorflowSession {
  return sessionOf(binding, binding.loadSavedModel(folder, SERVING_TAG));
}

function sessionOf(binding: SessionBinding, model: number): TensorflowSession {
  return {
    run(signature, inputs, results) {
      const names = Object.keys(signature.inputs);
      const fed: number[] = [];
      try {
        for (const name of names) fed.push(toTensorflow(binding, inputs[name] as HostTensor));
        return fetch(binding, model, fed, signature, results);
      } finally {
        for (const tensor of fed) binding.deleteTensor(tensor);
      }
    },
    close: () => binding.deleteSavedModel(model),
  };
}

function load(binding: SessionBinding, file: Uint8Array): number {
  removeLeftBehind();
  let folder: string | null = null;
  try {
    folder = mkdtempSync(path.join(os.tmpdir(), `${FOLDER_PREFIX}${process.pid}-`));
    writeFileSync(path.join(folder, SAVED_MODEL), file);
    return binding.loadSavedModel(folder, SERVING_TAG);
  } catch (error) {
    throw inTemporaryFolder(error);
  } finally {
    if (folder !== null) rmSync(folder, { recursive: true, force: true });
  }
}

/** What the machine refuses, as a failure that says which variable names another folder. */
function inTemporaryFolder(thrown: unknown): unknown {
  const error = storageFailure(thrown, `the folder for temporary files ${os.tmpdir()}`, "cannot write to");
  return error instanceof UserError ? failure(error.message.replace(/another folder$/, "$& in TMPDIR"), error) : error;
}

let looked = false;

/** Folders of processes that were killed while they loaded one. */
function removeLeftBehind(): void {
  if (looked) return;
  looked = true;
  for (const name of namesIn(os.tmpdir())) {
    if (!name.startsWith(FOLDER_PREFIX) || isRunning(Number.parseInt(name.slice(FOLDER_PREFIX.length), 10))) continue;
    try {
      rmSync(path.join(os.tmpdir(), name), { recursive: true, force: true });
    } catch {
      // Another user's.
    }
  }
}

/** Nothing where it is not there or may not be listed: what writes there says so, if it matters. */
function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function toTensorflow(binding: SessionBinding, { shape, dtype, data }: HostTensor): number {
  return binding.createTensor(shape, dtype === "int32" ? binding.TF_INT32 : binding.TF_FLOAT, data);
}

function fetch(
  binding: SessionBinding,
  model: number,
  fed: readonly number[],
  { inputs, outputs }: NamedTensors,
  results: ResultTypes,
): HostTensors {
  const feeds = Object.values(inputs).map(({ tensor }) => tensor);
  // With nothing to fetch the scalar is, which is made when everything else is done.
  const wanted = results.size > 0 ? [...results.keys()] : ["done"];
  const fetches = wanted.map((name) => outputs[name]?.tensor as string);
  const made = binding.runSavedModel(model, fed, feeds.join(","), fetches.join(","));
  try {
    const tensors = [...results].map(([name, { dtype }], i) => {
      const { id, shape } = made[i] as (typeof made)[number];
      return [name, toHost(name, shape, dtype, binding.tensorDataSync(id))] as const;
    });
    return Object.fromEntries(tensors);
  } finally {
    for (const { id } of made) binding.deleteTensor(id);
  }
}

function toHost(name: string, shape: readonly number[], dtype: DType, elements: Float32Array | Int32Array): HostTensor {
  if (dtype === "int32") return int32(shape, elements as Int32Array);
  if (dtype === "float32") return float32(shape, elements as Float32Array);
  throw new Error(`${name} has dtype ${dtype}; programs give float32 and int32`);
}
