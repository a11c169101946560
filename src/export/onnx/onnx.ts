// model.onnx from made to checked, before it counts: it lies beside its place until the merge commits it.

import { existsSync } from "node:fs";
import { rm, stat } from "node:fs/promises";
import path from "node:path";
import { failure } from "../../errors/errors";
import { requireFreeSpace, type StagedFile, stageFile } from "../../files/atomic";
import { sha256File, sha256Hex } from "../../files/hash";
import { readShared } from "../../merge/folder/blobs";
import type { Blob, Manifest, MergedTask } from "../../merge/folder/manifest";
import type { BertConfig } from "../../model/config";
import type { HostTensors } from "../../model/tensors";
import type { CheckTools, ModelCheck } from "../check/model-check";
import type { OnnxModelFile } from "./onnx-model";

export const ONNX = "model.onnx";

const ADVICE = "The folder is as it was. Please report it; with --no-onnx the file is left out";

export interface OnnxRequest {
  /** null where onnxruntime-node is absent: the file is written all the same. */
  readonly check: CheckTools | null;
  /** Bytes of weights that the file takes in; more stay in the blobs. As much as the format allows by default. */
  readonly mostInside?: number;
}

/** What was written, and what the check found. */
export interface OnnxReport extends Blob {
  readonly bytes: number;
  readonly weights: OnnxModelFile["weights"];
  readonly check: ModelCheck | null;
}

export interface StagedOnnx {
  readonly report: OnnxReport;
  commit(): Promise<void>;
  discard(): Promise<void>;
}

/**
 * Makes and checks the file of a folder whose blobs are written.
 * @param tensorsOf a task's own tensors, scoped, and the shared ones under it
 */
export async function stageOnnx(
  out: string,
  manifest: Omit<Manifest, "onnx">,
  request: OnnxRequest,
  tensorsOf: (task: MergedTask) => Promise<HostTensors>,
): Promise<StagedOnnx> {
  const { config, tokenizer } = await readShared(out, manifest);
  const { staged, ...written } = await writeModel(out, manifest, config, request.mostInside);
  try {
    const { tasks } = manifest;
    const file = { path: staged.path, name: path.join(out, ONNX), runtime: "onnxruntime", advice: ADVICE };
    const { checkModel } = await import("../check/model-check.js");
    const check = request.check
      ? await checkModel({ ...file, tasks, config, tokenizer, tensorsOf }, request.check)
      : null;
    return { ...staged, report: { file: ONNX, ...written, check } };
  } catch (error) {
    await staged.discard();
    throw error;
  }
}

/** Apart from the check, which wants the memory that the weights take here. */
async function writeModel(
  out: string,
  manifest: Omit<Manifest, "onnx">,
  config: BertConfig,
  mostInside: number | undefined,
) {
  // Loads tfjs, which a merge without the file does not need.
  const { onnxModelFile } = await import("./onnx-model.js");
  const { chunks, weights } = await onnxModelFile(out, manifest, config, mostInside);
  const sha256 = sha256Hex(...chunks);
  const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  return { staged: await stageUnlessThere(path.join(out, ONNX), chunks, sha256, bytes), sha256, bytes, weights };
}

/** Removes a file that no longer says what the folder says; a folder of that name is not ours. */
export async function removeOnnx(out: string): Promise<void> {
  const target = path.join(out, ONNX);
  if (!(await isFolder(target))) await rm(target, { force: true });
}

const isFolder = async (target: string) => existsSync(target) && (await stat(target)).isDirectory();

/** A file that lies there already, whole, is not written again. */
async function stageUnlessThere(
  target: string,
  chunks: readonly Uint8Array[],
  sha256: string,
  bytes: number,
): Promise<StagedFile> {
  if (await isFolder(target)) {
    throw failure(`${target} is a folder, and a file is to stand there. Move it away, or give --no-onnx`);
  }
  if (existsSync(target) && (await sha256File(target)) === sha256) {
    return { path: target, commit: async () => undefined, discard: async () => undefined };
  }
  await requireFreeSpace(path.dirname(target), bytes, target);
  return stageFile(target, chunks);
}
