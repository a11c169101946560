// The loop over epochs, over a program whose losses and logits are told beforehand: which epoch is kept, what is logged,
// where it stops. That its steps learn, and that it goes on to the same bytes, is train-branch.test.ts's.

import { mkdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "@jest/globals";
import type { EncodedRows } from "../../../src/batches/rows";
import { metricsFile } from "../../../src/checkpoints/runs/run-folder";
import type { Engine } from "../../../src/engines/engine";
import { float32, type HostTensors, int32 } from "../../../src/model/tensors";
import { glueTasks } from "../../../src/tasks/glue";
import type { BranchSource } from "../../../src/training/loop/branch-source";
import { restore } from "../../../src/training/loop/run-state";
import { type BranchTraining, trainBranch } from "../../../src/training/loop/train-branch";
import { quietContext, temporaryFolder, tinyBase, tinyTraining } from "../../tiny";

const folder = temporaryFolder();
const { config } = tinyBase();
const scalar = (value: number) => float32([], Float32Array.of(value));

/** Four rows of two tokens with the labels 0, 1, 0, 1, as a full branch reads them. */
const ids = Array.from({ length: 4 }, () => Int32Array.of(2, 3));
const labels = Float32Array.of(0, 1, 0, 1);
const lengths = Int32Array.of(2, 2, 2, 2);
const rows: EncodedRows = {
  ids,
  typeIds: ids.map(() => Int32Array.of(0, 0)),
  lengths,
  padId: 0,
  labels,
  tokens: 8,
  truncatedRows: 0,
};
const source: BranchSource = { rows, activations: null, config };

/** Steps take the losses in turn; after epoch i the dev rows are predicted as `predicted[i]`; the branch is its step. */
function scripted({ losses = [1], predicted = [[0, 1, 0, 1]] }: { losses?: number[]; predicted?: number[][] }) {
  let [step, epoch] = [0, 0];
  let loaded: HostTensors = {};
  const program = {
    async run(entry: string, inputs: HostTensors): Promise<HostTensors> {
      if (entry === "train") {
        expect(inputs["labels"]?.data).toHaveLength(2);
        const loss = losses[Math.min(step++, losses.length - 1)] as number;
        return { loss: scalar(loss), grad_norm: scalar(1) };
      }
      const classes = predicted[Math.min(epoch++, predicted.length - 1)] as number[];
      return { logits: float32([4, 2], Float32Array.from(classes.flatMap((one) => [1 - one, one]))) };
    },
    state: async () => ({ ...loaded, step: int32([1], Int32Array.of(step)) }),
    compiled: () => null,
    dispose: () => undefined,
  };
  const load = async (state: HostTensors) => {
    loaded = state;
    return program;
  };
  return { load, precision: "float32" } as unknown as Engine;
}

const training = (name: string, epochs: number, until?: number): BranchTraining => {
  mkdirSync(path.join(folder, name), { recursive: true });
  return {
    ...{ label: name, folder: path.join(folder, name), task: glueTasks.sst2, config, train: source, dev: source },
    place: { fork: null, layers: 1 },
    initial: { step: int32([1], Int32Array.of(0)) },
    loss: ({ logits }) => logits.sum(),
    settings: { ...tinyTraining, epochs, batchSize: 2, seed: 1, saveEvery: 3600, ...(until ? { until } : {}) },
  };
};

const lines = (name: string) =>
  readFileSync(metricsFile(path.join(folder, name)), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));

test("patience ends a run after so many epochs that are no better, and so does the resumed one", async () => {
  const [none, half, most] = [
    [1, 0, 1, 0],
    [0, 0, 0, 0],
    [0, 1, 0, 0],
  ];
  const patient = (name: string, patience: number, until?: number): BranchTraining => {
    const { settings, ...rest } = training(name, 6, until);
    return { ...rest, settings: { ...settings, patience } };
  };
  const predicted = [half, most, most, none, most, most] as number[][];
  const { context, lines: log } = quietContext(scripted({ predicted }));
  const trained = await trainBranch(patient("patience", 2), context);
  expect(trained).toMatchObject({ complete: true, bestEpoch: 1, steps: 8, score: 0.75 });
  expect(log.at(-1)).toBe("patience: stopped after epoch 4 of 6, 2 without a better dev score");
  const before = await trainBranch(patient("begun", 2, 3), quietContext(scripted({ predicted })).context);
  expect(before).toMatchObject({ complete: false, bestEpoch: 1, steps: 6 });
  const rest = predicted.slice(3);
  const resumed = await trainBranch(patient("begun", 2), quietContext(scripted({ predicted: rest })).context);
  expect(resumed).toMatchObject({ complete: true, bestEpoch: 1, steps: 8 });
  // Its state says that it is done: what asks for it again trains nothing.
  const again = await trainBranch(
    patient("begun", 2),
    quietContext(scripted({ predicted: [most] as number[][] })).context,
  );
  expect(again).toMatchObject({ complete: true, bestEpoch: 1, steps: 8 });
  const never = await trainBranch(patient("never", 6), quietContext(scripted({ predicted })).context);
  expect(never).toMatchObject({ complete: true, steps: 12 });
});

test("the branch of the best epoch is kept, of equal ones that of the first", async () => {
  const predicted = [
    [0, 0, 0, 0],
    [0, 1, 0, 0],
    [0, 0, 0, 1],
    [1, 1, 1, 1],
  ]; // half, three quarters twice, half
  const { context } = quietContext(scripted({ predicted }));
  const trained = await trainBranch(training("best", 4), context);
  expect(trained).toMatchObject({ complete: true, bestEpoch: 1, score: 0.75, steps: 8 });
  expect(Array.from(trained.branch["step"]?.data ?? [])).toEqual([4]);
  const scored = lines("best").filter(({ dev }) => dev);
  expect(scored.map(({ epoch, step, dev }) => [epoch, step, dev.accuracy])).toEqual([
    [0, 2, 0.5],
    [1, 4, 0.75],
    [2, 6, 0.75],
    [3, 8, 0.5],
  ]);
});

test("one that is left after an epoch says so, and its state is that epoch's", async () => {
  const { context } = quietContext(scripted({}));
  const left = await trainBranch(training("until", 3, 1), context);
  expect(left).toMatchObject({ complete: false, steps: 2 });
  expect((await restore(path.join(folder, "until"), {}))?.position).toMatchObject({ epoch: 1, batch: 0, step: 2 });
  const gone = await trainBranch(training("until", 3), context);
  expect(gone).toMatchObject({ complete: true, steps: 6 });
});

test("a loss that is no number ends it (1): at the first step the weights are to blame, later the rate", async () => {
  const first = trainBranch(training("nan", 1), quietContext(scripted({ losses: [Number.NaN] })).context);
  await expect(first).rejects.toMatchObject({ exitCode: 1, message: expect.stringMatching(/step 1 .*are damaged/) });
  const later = trainBranch(
    training("later", 1),
    quietContext(scripted({ losses: [1, Number.POSITIVE_INFINITY] })).context,
  );
  await expect(later).rejects.toMatchObject({
    exitCode: 1,
    message: expect.stringMatching(/step 2 .*--learning-rate/),
  });
});
