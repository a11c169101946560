// Importing a branch: where it forks is found by bytes, its outputs are put in the task's order, and what does not fit is
// refused before anything is written.

import { existsSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "@jest/globals";
import { writeBase } from "../../src/checkpoints/bases/random-base";
import { loadBranch } from "../../src/checkpoints/runs/run-folder";
import { openEngine } from "../../src/engines/open";
import { float32, type HostTensors } from "../../src/model/tensors";
import { importBranch } from "../../src/recipes/import";
import { branchOfBase } from "../../src/recipes/trial/initial-branch";
import { glueTasks } from "../../src/tasks/glue";
import { headOf } from "../../src/tasks/task";
import { quietContext, temporaryFolder, tinyBase, tinyRun, writeTinyGlue } from "../tiny";

const folder = temporaryFolder();
const base = tinyBase("import-base");
const { rte } = glueTasks;
const classifier = ["classifier.weight", "classifier.bias"] as const;

beforeAll(() => writeTinyGlue(path.join(folder, "glue")));

/** A fine-tuned model of somebody else: the base with its top layer and a head of their own. */
function theirs(change: HostTensors = {}): HostTensors {
  const branch = branchOfBase(base, { fork: 3, layers: 1 }, headOf(rte, base.config.hiddenSize), 5);
  const norm = "bert.encoder.layer.3.output.LayerNorm.weight";
  const bias = { "classifier.bias": float32([2], Float32Array.of(0.25, -0.5)) };
  return { ...base.tensors, ...branch, ...bias, [norm]: halved(branch, norm), ...change };
}

function halved(tensors: HostTensors, name: string) {
  const { shape, data } = tensors[name] as HostTensors[string];
  return float32(
    shape,
    Float32Array.from(data, (value) => value / 2),
  );
}

let count = 0;
async function importing(tensors: HostTensors, labels: readonly string[] | null = null) {
  const place = path.join(folder, `theirs${count++}`);
  await writeBase({ ...base, tensors }, place);
  const { engine } = await openEngine("wasm", {});
  const run = { ...tinyRun(folder), checkpoints: path.join(folder, `checkpoints${count}`) };
  const request = { task: rte, base, folder: place, labels, maxLength: 32, run };
  const imported = importBranch(request, quietContext(engine).context);
  return { imported, checkpoints: run.checkpoints };
}

test("the branch is what differs, above the fork, scored on the dev rows", async () => {
  const run = await (await importing(theirs())).imported;
  expect(run.record).toMatchObject({ method: "import", state: "finished", fork: 3, layers: 1, full: false, steps: 0 });
  expect(run.record.score).toEqual(expect.any(Number));
  expect(path.basename(run.folder)).toBe(`k01-import-${run.record.id}`);
  const branch = await loadBranch(run);
  expect(Object.keys(branch).filter((name) => /layer\.[0-2]\.|embeddings/.test(name))).toEqual([]);
  expect(branch["classifier.bias"]?.data).toEqual(Float32Array.of(0.25, -0.5));
});

test("outputs in another order are put in the task's", async () => {
  const asTheirs = await loadBranch(await (await importing(theirs())).imported);
  const turned = await loadBranch(await (await importing(theirs(), [...rte.labels].reverse())).imported);
  expect(turned["classifier.bias"]?.data).toEqual(Float32Array.of(-0.5, 0.25));
  const hidden = base.config.hiddenSize;
  const [weight, bias] = classifier.map((name) => turned[name]);
  expect(bias?.shape).toEqual([2]);
  expect(weight?.data.slice(0, hidden)).toEqual(asTheirs["classifier.weight"]?.data.slice(hidden));
});

describe("refused, with nothing written:", () => {
  const embeddings = "bert.embeddings.LayerNorm.weight";
  const wide = (rows: number) => ({
    "classifier.weight": float32([rows, base.config.hiddenSize], new Float32Array(rows * base.config.hiddenSize)),
    "classifier.bias": float32([rows], new Float32Array(rows)),
  });
  test.each<[string, () => HostTensors, readonly string[] | null, RegExp]>([
    ["trained embeddings", () => theirs({ [embeddings]: halved(base.tensors, embeddings) }), null, /shares no trunk/],
    ["no layer of its own", () => ({ ...base.tensors, ...wide(2) }), null, /every layer equals the base/],
    ["other outputs", () => theirs(wide(3)), null, /has 3 outputs, rte has 2/],
    ["a label that is missing", () => theirs(), ["entailment", "maybe"], /rte needs not_entailment. Give --labels/],
  ])("%s", async (_, tensors, labels, message) => {
    const { imported, checkpoints } = await importing(tensors(), labels);
    await expect(imported).rejects.toMatchObject({ exitCode: 4, message: expect.stringMatching(message) });
    expect(existsSync(checkpoints)).toBe(false);
  });
});
