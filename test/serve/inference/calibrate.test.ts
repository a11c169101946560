// Which layouts are tried, which is chosen, and what the user's own numbers make of it.

import { describe, expect, test } from "@jest/globals";
import { chooseLayout, type Layout, layoutsOf, sampleRows, type Trial } from "../../../src/serve/inference/calibrate";
import { chosenLayout } from "../../../src/serve/inference/start";

test("layouts double the processes and use no more cores than there are", () => {
  const inWords = (cores: number) => layoutsOf(cores).map(({ processes, threads }) => `${processes}x${threads}`);
  expect(inWords(1)).toEqual(["1x1"]);
  expect(inWords(2)).toEqual(["1x2", "2x1"]);
  expect(inWords(6)).toEqual(["1x6", "2x3", "4x1", "6x1"]);
  expect(inWords(8)).toEqual(["1x8", "2x4", "4x2", "8x1"]);
  for (const { processes, threads } of layoutsOf(13)) expect(processes * threads).toBeLessThanOrEqual(13);
});

describe("the choice", () => {
  const choose = async (rates: readonly (number | null)[], { bytesEach = 1e8, memory = 1e10 } = {}) => {
    const gone: number[] = [];
    const tryOut = async (layout: Layout): Promise<Trial | null> => {
      const rate = rates[Math.log2(layout.processes)] ?? null;
      return rate === null ? null : { ...layout, textsPerSecond: rate, bytesEach };
    };
    const giveUp = async ({ processes }: Trial) => void gone.push(processes);
    const { chosen, trials } = await chooseLayout(layoutsOf(8), memory, tryOut, giveUp);
    return [chosen?.processes, trials.map(({ processes }) => processes), gone];
  };
  test("is what gives most", async () => {
    expect(await choose([100, 150, 190, 260])).toEqual([8, [1, 2, 4, 8], [1, 2, 4]]);
  });
  test("is fewer processes where more give hardly more, and all others end", async () => {
    expect(await choose([100, 105, 108, 109])).toEqual([1, [1, 2, 4, 8], [2, 4, 8]]);
    expect(await choose([100, 150, 140, 900])).toEqual([2, [1, 2, 4], [1, 4]]);
  });
  test("is what fits in memory, and what starts", async () => {
    expect(await choose([100, 150, 190, 260], { bytesEach: 3e9 })).toEqual([2, [1, 2], [1]]);
    expect(await choose([100, 150, null])).toEqual([2, [1, 2], [1]]);
    expect(await choose([null])).toEqual([undefined, [], []]);
  });
});

test("who names one number leaves the other to the cores", () => {
  expect(chosenLayout({ workers: 3, threads: 2 }, 8)).toEqual({ processes: 3, threads: 2 });
  expect(chosenLayout({ workers: 3 }, 8)).toEqual({ processes: 3, threads: 2 });
  expect(chosenLayout({ workers: 9 }, 8)).toEqual({ processes: 9, threads: 1 });
  expect(chosenLayout({ threads: 4 }, 8)).toEqual({ processes: 2, threads: 4 });
  expect(chosenLayout({ threads: 9 }, 8)).toEqual({ processes: 1, threads: 9 });
  expect(chosenLayout({}, 8)).toBeNull();
  expect(chosenLayout({}, 1)).toEqual({ processes: 1, threads: 1 });
});

test("what is measured fits the model", () => {
  const rows = sampleRows({ tasks: ["a", "b"], weights: "int8", vocabSize: 11, maxLength: 6 });
  expect(rows.every(({ ids, tasks }) => ids.length === 6 && ids.every((id) => id < 11) && tasks.length === 2)).toBe(
    true,
  );
});
