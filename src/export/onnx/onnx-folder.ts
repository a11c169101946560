// export onnx: the graph of all tasks, or of some without the others' layers, in a folder that needs nothing else: its
// weights are in the file as far as the format lets them, beside it beyond that.

import { existsSync } from "node:fs";
import path from "node:path";
import { float16Weight } from "../../compile/onnx/packed";
import { blobsOf } from "../../merge/folder/blobs";
import { checkExport } from "../check/check-export";
import { int8Tolerance } from "../check/compare";
import type { CheckedModel } from "../check/model-check";
import type { ExportFormat, ExportSource } from "../format";
import { sidecars } from "../sidecars";
import { writeFiles } from "../target";
import { type Constants, onnxModelFile, weightsInBlobs } from "./onnx-model";

const MODEL = "model.onnx";

/** Readers refuse protobuf messages of 2 GiB; the graph itself takes some of them. */
const MOST_INSIDE = 2 ** 31 - 2 ** 26;

export const onnxFolder: ExportFormat = {
  name: "onnx",
  title: "an ONNX model",
  precisions: ["float16", "int8"],
  isExport: (folder) => existsSync(path.join(folder, MODEL)) && existsSync(path.join(folder, "tasks.json")),
  contents: ({ manifest }) => ({ outputs: manifest.tasks.map(({ name }) => name) }),
  async write(folder, source) {
    const { manifest, config } = source;
    const weights = await weightsOf(folder, source);
    await writeFiles(folder, {
      [MODEL]: await onnxModelFile(manifest, config, weights),
      ...sidecars(source),
    });
  },
  check(folder, out, source, tools) {
    const model = { folder, out, file: MODEL, runtime: "onnxruntime" };
    return checkExport(source, model, source.manifest.tasks, tools, toleranceOf(source));
  },
};

async function weightsOf(folder: string, source: ExportSource): Promise<Constants> {
  const { precision, bytes, manifest } = source;
  if (precision === "int8") return source.readInt8(manifest.tasks);
  if (precision === "float32" && bytes > MOST_INSIDE) return besideIt(folder, source);
  const tensors = await source.readTensors(manifest.tasks);
  if (precision === "float32") return tensors;
  return Object.fromEntries(
    Object.entries(tensors).map(([name, tensor]) => [name, tensor.shape.length < 2 ? tensor : float16Weight(tensor)]),
  );
}

function toleranceOf({ precision, manifest }: ExportSource): Pick<CheckedModel, "tolerance"> {
  if (precision === "float32") return {};
  if (precision === "float16") return { tolerance: { difference: () => 1e-2, equalLabels: 0.995 } };
  return { tolerance: int8Tolerance(manifest.int8 ?? { tasks: {} }) };
}

/** The blobs beside the graph, and where in them the weights lie. */
async function besideIt(folder: string, { manifest, readBytes }: ExportSource) {
  const { shared, own } = blobsOf(manifest, manifest.tasks);
  for (const blob of [...shared, ...own]) await writeFiles(folder, { [blob.file]: await readBytes(blob) });
  return weightsInBlobs(folder, manifest);
}
