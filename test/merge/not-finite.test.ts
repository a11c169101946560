// A merged folder's weights that are no numbers: its hashes fit, and a model of them computes nothing.

import { mkdirSync } from "node:fs";
import path from "node:path";
import { expect, test } from "@jest/globals";
import { readTensors, writeBlob } from "../../src/merge/folder/blobs";
import { float32 } from "../../src/model/tensors";
import { temporaryFolder } from "../files/temporary-folder";

test("are refused, naming file and tensor (exit 4)", async () => {
  const folder = temporaryFolder();
  mkdirSync(path.join(folder, "blobs"));
  const [EMBEDDING, LAYER, HEAD] = ["bert.embeddings.LayerNorm.bias", "bert.encoder.layer.0.bias", "classifier.bias"];
  const tensors = (names: string[], value: number) =>
    Object.fromEntries(names.map((name) => [name, float32([2], Float32Array.of(0, value))]));
  const write = (name: string, value: number) =>
    writeBlob(folder, name, tensors(name === "embeddings" ? [EMBEDDING] : [LAYER, HEAD], value), {}, () => undefined);
  const [embeddings, good, bad] = [
    await write("embeddings", 1),
    await write("rte", 1),
    await write("sst2", Number.POSITIVE_INFINITY),
  ];
  const shared = { embeddings, trunk: [] };
  expect(Object.keys(await readTensors(folder, shared, [{ ...good, name: "rte", fork: 0, layers: 1 }]))).toHaveLength(
    3,
  );
  await expect(readTensors(folder, shared, [{ ...bad, name: "sst2", fork: 0, layers: 1 }])).rejects.toMatchObject({
    exitCode: 4,
    message: expect.stringMatching(/blobs\/sst2-.*\.safetensors: bert\.encoder\.layer\.0\.bias is Infinity at \[1\]/),
  });
});

test("a blob in the place of another is said, with exit code 4", async () => {
  const folder = path.join(temporaryFolder(), "merged");
  mkdirSync(path.join(folder, "blobs"), { recursive: true });
  const write = (name: string, ...names: string[]) => {
    const tensors = Object.fromEntries(names.map((one) => [one, float32([1], new Float32Array(1))]));
    return writeBlob(folder, name, tensors, {}, () => undefined);
  };
  const embeddings = await write("embeddings", "bert.embeddings.LayerNorm.bias");
  const layer = await write("trunk-layer-00", "bert.encoder.layer.0.output.LayerNorm.bias");
  const rte = await write("rte", "bert.encoder.layer.1.output.LayerNorm.bias", "classifier.bias");
  const task = { ...rte, name: "rte", fork: 1, layers: 1 };
  expect(Object.keys(await readTensors(folder, { embeddings, trunk: [layer] }, [task]))).toHaveLength(4);
  for (const [shared, own, message] of [
    [{ embeddings: layer, trunk: [layer] }, task, /trunk-layer-00-.* as the embeddings/],
    [{ embeddings, trunk: [embeddings] }, task, /embeddings-.* as layer 0/],
    [{ embeddings, trunk: [layer] }, { ...task, ...layer }, /trunk-layer-00-.* as the branch of rte/],
    [{ embeddings, trunk: [layer] }, { ...task, layers: 2 }, /rte-.* as the branch of rte/],
  ] as const)
    await expect(readTensors(folder, shared, [own])).rejects.toMatchObject({
      exitCode: 4,
      message: expect.stringMatching(message),
    });
});
