// A tfjs model's files, run as a browser runs them: loaded by tfjs-converter, computed by the wasm backend.

import { readFile } from "node:fs/promises";
import path from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { float32, type HostTensors } from "../../model/tensors";
import type { OpenModelFile } from "../model-file";
import { openWasm } from "./wasm";

interface ModelJson {
  readonly modelTopology: object;
  readonly weightsManifest: readonly [
    { readonly paths: readonly string[]; readonly weights: tf.io.WeightsManifestEntry[] },
  ];
  readonly signature: { readonly outputs: Readonly<Record<string, unknown>> };
}

/** What opens such models. Throws as {@link openWasm} does. */
export async function graphModelOpener(): Promise<OpenModelFile> {
  const { GraphModel } = await import("@tensorflow/tfjs-converter");
  return async (file) => {
    const engine = await openWasm();
    const json = JSON.parse(await readFile(file, "utf8")) as ModelJson;
    const [{ paths, weights }] = json.weightsManifest;
    const shards = await Promise.all(paths.map((shard) => readFile(path.join(path.dirname(file), shard))));
    const bytes = Buffer.concat(shards);
    const weightData = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
    const artifacts = { modelTopology: json.modelTopology, weightSpecs: weights, weightData };
    const model = new GraphModel({ load: async () => artifacts });
    await model.load();
    const names = Object.keys(json.signature.outputs);
    return {
      async run(inputs) {
        const fed = Object.entries(inputs).map(
          ([name, { data, shape }]) => [name, tf.tensor(data, [...shape], "int32")] as const,
        );
        const results = [model.execute(Object.fromEntries(fed), names)].flat();
        const read = results.map(async (tensor, i) => {
          return [
            names[i] as string,
            float32(tensor.shape, Float32Array.from(await tensor.data<"float32">())),
          ] as const;
        });
        const outputs: HostTensors = Object.fromEntries(await Promise.all(read));
        tf.dispose([...results, ...fed.map(([, tensor]) => tensor)]);
        return outputs;
      },
      async close() {
        model.dispose();
        engine.dispose();
      },
    };
  };
}
