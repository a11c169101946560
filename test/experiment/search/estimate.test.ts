import { expect, test } from "@jest/globals";
import type { ListedTrial } from "../../../src/experiment/listing";
import { halvedListing } from "../../../src/experiment/search/estimate";
import { recipes } from "../../../src/recipes/recipes";

type Made = Pick<ListedTrial, "flops" | "state"> & { readonly spec: unknown };

const teacher = (k: number, task: object, more: { seed?: number; state?: ListedTrial["state"] } = {}): Made => ({
  spec: {
    ...{ recipe: recipes["finetune"], task, place: { fork: 12 - k, layers: k }, seed: more.seed ?? 1, options: {} },
    training: { epochs: 3 },
  },
  ...{ flops: 30 * k, state: more.state ?? "open" },
});
const student = (task: object): Made => ({
  spec: { recipe: recipes["distill"], task, place: { fork: "teacher", layers: 1 }, training: { epochs: 3 } },
  ...{ flops: 50, state: "waiting" },
});
const halved = (trials: readonly Made[], openFlops: number) =>
  halvedListing({ trials: trials as unknown as ListedTrial[], openFlops });

const [rte, cola] = [{ name: "rte" }, { name: "cola" }];
/** Epochs of 40, 30, 20 and 10: all four do the first, two the second, one the third. */
const four = (task: object) => [4, 3, 2, 1].map((k) => teacher(k, task));

test("halving leaves of each task's fine-tunings what the cheapest or the costliest that go on take; students stay", () => {
  expect(halved([...four(rte), student(rte)], 350)).toEqual({ least: 190, most: 260 });
  expect(halved([...four(rte), ...four(cola)], 600)).toEqual({ least: 280, most: 420 });
});

test("seeds of a k go on together, and one k leaves all", () => {
  const seeds = four(rte).flatMap((_, i) => [teacher(4 - i, rte), teacher(4 - i, rte, { seed: 2 })]);
  expect(halved(seeds, 600)).toEqual({ least: 280, most: 420 });
  expect(halved([teacher(4, rte)], 120)).toEqual({ least: 120, most: 120 });
});

test("of a halving under way it is no more than what is open", () => {
  const under = [
    teacher(4, rte, { state: "finished" }),
    ...[3, 2, 1].map((k) => teacher(k, rte, { state: "stopped" })),
  ];
  expect(halved(under, 180)).toEqual({ least: 140, most: 180 });
});
