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
  const write = (name: string, value: number) =>
    writeBlob(folder, name, { [`${name}.bias`]: float32([2], Float32Array.of(0, value)) }, {}, () => undefined);
  const [embeddings, good, bad] = [
    await write("embeddings", 1),
    await write("rte", 1),
    await write("sst2", Number.POSITIVE_INFINITY),
  ];
  const shared = { embeddings, trunk: [] };
  expect(Object.keys(await readTensors(folder, shared, [{ ...good, name: "rte", fork: 0 }]))).toHaveLength(2);
  await expect(readTensors(folder, shared, [{ ...bad, name: "sst2", fork: 0 }])).rejects.toMatchObject({
    exitCode: 4,
    message: expect.stringMatching(/blobs\/sst2-.*\.safetensors: sst2\.bias is Infinity at \[1\]/),
  });
});
