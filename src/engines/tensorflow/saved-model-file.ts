// A SavedModel's folder, run by TensorFlow: a signature, found in the file as any loader finds it.

import { readFile } from "node:fs/promises";
import path from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { DEFAULT_SIGNATURE, SAVED_MODEL } from "../../compile/tensorflow/saved-model";
import { SavedModelSchema, type TensorInfo } from "../../compile/tensorflow/tensorflow.gen";
import type { ModelFile } from "../model-file";
import { type NamedTensors, openStoredSession } from "./session";
import { startTensorflow, type TensorflowOptions } from "./tensorflow";

/** What opens such folders, for one signature. Throws as {@link startTensorflow} does. */
export async function savedModelOpener(
  options: TensorflowOptions,
): Promise<(folder: string, signature?: string) => Promise<ModelFile>> {
  const { binding } = await startTensorflow(options);
  return async (folder, name = DEFAULT_SIGNATURE) => {
    const signature = await readSignature(path.join(folder, SAVED_MODEL), name);
    const results = new Map(Object.keys(signature.outputs).map((name) => [name, { dtype: "float32" as const }]));
    const session = openStoredSession(binding, folder);
    return {
      run: async (inputs) => session.run(signature, inputs, results),
      close: async () => session.close(),
    };
  };
}

async function readSignature(file: string, name: string): Promise<NamedTensors> {
  const { metaGraphs } = fromBinary(SavedModelSchema, await readFile(file));
  const signature = metaGraphs[0]?.signatureDef[name];
  if (!signature) throw new Error(`${file} has no signature ${name}`);
  const named = (tensors: Readonly<Record<string, TensorInfo>>) =>
    Object.fromEntries(Object.entries(tensors).map(([name, { encoding }]) => [name, { tensor: encoding.value ?? "" }]));
  return { inputs: named(signature.inputs), outputs: named(signature.outputs) };
}
