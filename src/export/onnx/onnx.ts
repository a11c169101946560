// model.onnx of a merged folder, from made to checked, before it counts: it lies beside its place until the change commits
// it. A few MB of graph, whose weights are the folder's blobs.

import { existsSync } from "node:fs";
import { readFile, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { failure } from "../../errors/errors";
import { requireFreeSpace, stageFile, temporaryPath } from "../../files/atomic";
import { sha256Hex } from "../../files/hash";
import { readShared } from "../../merge/folder/blobs";
import type { Blob, Manifest, MergedTask } from "../../merge/folder/manifest";
import type { HostTensors } from "../../model/tensors";
import type { Branches } from "../check/branches";
import type { CheckTools, ModelCheck } from "../check/model-check";

export const ONNX = "model.onnx";

const ADVICE = "The folder is as it was. Please report it; with --no-onnx the file is left out";

export interface OnnxRequest {
  /** null where onnxruntime-node is absent: the file is written all the same. */
  readonly check: CheckTools | null;
}

/** What was written, and what the check found. */
export interface OnnxReport extends Blob {
  readonly bytes: number;
  readonly weights: "blobs";
  /** Tasks that the graph computes by the same nodes from the same weights as the version before. */
  readonly unchanged: readonly string[];
  /** Of the other tasks; null where there is none, or nothing to check with. */
  readonly check: ModelCheck | null;
}

export interface StagedOnnx {
  readonly report: OnnxReport;
  /** Where it lies until it is discarded: beside its blobs, so that it can be run. */
  readonly path: string;
  discard(): Promise<void>;
}

export interface StageOptions {
  /** Tasks whose outputs are compared whether they changed or not. */
  readonly checked: readonly string[];
  /** The graph of the version before. */
  readonly before: string | null;
  /** A task's own tensors, scoped, and the shared ones under it. */
  readonly tensorsOf: (task: MergedTask) => Promise<HostTensors>;
  /** What they are compared with where others are too. @param tasks at least */
  readonly branchesOf?: (tasks: readonly MergedTask[]) => Promise<Branches>;
}

/**
 * Makes the file of a folder whose blobs are written, and checks it. Only the outputs of tasks that changed are computed,
 * from the nodes that they need: of the others the graph itself is compared, so that their weights stay unread.
 */
export async function stageOnnx(
  out: string,
  manifest: Pick<Manifest, "base" | "embeddings" | "trunk" | "tasks">,
  request: OnnxRequest,
  options: StageOptions,
): Promise<StagedOnnx> {
  if (await isFolder(path.join(out, ONNX))) throw inTheWay(out);
  const { config, tokenizer } = await readShared(out, manifest);
  // Loads tfjs, which a merge without the file does not need.
  const { onnxModelFile, weightsInBlobs } = await import("./onnx-model.js");
  const { onlyOutputs, outputDigests } = await import("../../compile/onnx/subgraph.js");
  const bytes = Buffer.concat(await onnxModelFile(manifest, config, await weightsInBlobs(out, manifest)));
  const known = await digestsOf(options.before, outputDigests);
  const now = outputDigests(bytes);
  const unchanged = manifest.tasks.map(({ name }) => name).filter((name) => known.get(name) === now.get(name));
  const compared = manifest.tasks.filter(({ name }) => options.checked.includes(name) || !unchanged.includes(name));
  await requireFreeSpace(out, bytes.length, path.join(out, ONNX));
  const staged = await stageFile(path.join(out, ONNX), bytes);
  const part = temporaryPath(path.join(out, ONNX));
  try {
    let check: ModelCheck | null = null;
    if (request.check && compared.length > 0) {
      const isWhole = compared.length === manifest.tasks.length;
      const names = compared.map(({ name }) => name);
      if (!isWhole) await writeFile(part, onlyOutputs(bytes, names));
      const file = { path: isWhole ? staged.path : part, name: path.join(out, ONNX), runtime: "onnxruntime" };
      const { checkModel } = await import("../check/model-check.js");
      const { tensorsOf, branchesOf } = options;
      const branches = await branchesOf?.(compared);
      const model = { advice: ADVICE, tasks: compared, config, tokenizer, tensorsOf };
      const checked = { ...file, ...model, ...(branches ? { branches } : {}) };
      check = await checkModel(checked, request.check);
    }
    const sha256 = sha256Hex(bytes);
    const report = { file: ONNX, sha256, bytes: bytes.length, weights: "blobs" as const, unchanged, check };
    return { report, path: staged.path, discard: staged.discard };
  } catch (error) {
    await staged.discard();
    throw error;
  } finally {
    await rm(part, { force: true });
  }
}

/** Of a graph that is not there, or is no graph: none. */
async function digestsOf(
  file: string | null,
  digest: (model: Uint8Array) => ReadonlyMap<string, string>,
): Promise<ReadonlyMap<string, string>> {
  if (file === null || !existsSync(file)) return new Map();
  try {
    return digest(await readFile(file));
  } catch {
    return new Map(); // then every task counts as changed, and is checked
  }
}

const inTheWay = (out: string) =>
  failure(`${path.join(out, ONNX)} is a folder, and a file is to stand there. Move it away, or give --no-onnx`);

/** Removes a file that no longer says what the folder says; a folder of that name is not ours. */
export async function removeOnnx(out: string): Promise<void> {
  const target = path.join(out, ONNX);
  if (!(await isFolder(target))) await rm(target, { force: true });
}

export const isFolder = async (target: string) => existsSync(target) && (await stat(target)).isDirectory();
