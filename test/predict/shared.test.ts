// Pieces that versions have in common: opened once, freed with the last that has them, and told apart by their bytes.

import { describe, expect, test } from "@jest/globals";
import type { Manifest } from "../../src/merge/folder/manifest";
import type { PieceSource } from "../../src/predict/segments/pieces";
import { openPiecePool, type PieceKeys, pieceKeys } from "../../src/predict/segments/shared";
import { kinds } from "../../src/tasks/kinds";

const keys: PieceKeys = {
  stretch: ({ to }) => `to ${to}`,
  branch: (task) => task,
  exits: {
    part: (task, { to }) => `${task} to ${to}`,
    rest: (task, from) => `${task} above ${from}`,
    ramp: (task, layer) => `${task} ramp ${layer}`,
  },
};
const bottom = { from: 0, to: 2, bottom: true };

/** A source that counts what it has open. */
function counting() {
  const open: string[] = [];
  const piece = (name: string) => {
    open.push(name);
    return { inputs: [name], run: async () => ({}), dispose: () => void open.splice(open.indexOf(name), 1) };
  };
  const source: PieceSource = {
    stretch: async ({ to }) => piece(`to ${to}`),
    branch: async (task) => piece(task),
  };
  return { open, source };
}

describe("the pool", () => {
  test("opens each piece once, says which were new, and frees it with its last user", async () => {
    const { open, source } = counting();
    const pool = openPiecePool();
    const fresh: (string | null)[] = [];
    const [first, second] = [1, 2].map(() => pool.share(source, keys, (task) => void fresh.push(task)));
    const a = [await first?.stretch(bottom), await first?.branch("rte")];
    const b = [await second?.stretch(bottom), await second?.branch("cola")];
    expect([open, fresh, pool.size()]).toEqual([["to 2", "rte", "cola"], [null, "rte", "cola"], 3]);
    for (const piece of a) piece?.dispose();
    for (const piece of a) piece?.dispose(); // twice is once
    await null;
    expect([open, pool.size()]).toEqual([["to 2", "cola"], 2]);
    for (const piece of b) piece?.dispose();
    await null;
    expect([open, pool.size()]).toEqual([[], 0]);
  });

  test("two that open the same at once share it", async () => {
    const { open, source } = counting();
    const shared = openPiecePool().share(source, keys);
    await Promise.all([shared.branch("rte"), shared.branch("rte")]);
    expect(open).toEqual(["rte"]);
  });

  test("what does not open is tried again the next time", async () => {
    const { source } = counting();
    const pool = openPiecePool();
    const broken = pool.share({ ...source, branch: () => Promise.reject(new Error("bytes")) }, keys);
    const both = await Promise.allSettled([broken.branch("rte"), broken.branch("rte")]);
    expect(both.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    expect(pool.size()).toBe(0);
    await pool.share(source, keys).branch("rte");
    expect(pool.size()).toBe(1);
  });
});

describe("keys", () => {
  const blob = (name: string) => ({ file: `blobs/${name}`, sha256: name });
  const task = { name: "rte", kind: kinds.classification, labels: ["a", "b"], range: null, fork: 1, layers: 1 };
  const graphs = {
    interface: 1,
    stretches: [{ ...blob("g0"), from: 0, to: 1, bottom: true }],
    branches: { rte: blob("g-rte") },
  };
  const manifest = {
    base: { name: "tiny", sha256: "base", layers: 4 },
    ...{ embeddings: blob("e"), trunk: [blob("l0"), blob("l1")], tasks: [{ ...task, ...blob("w-rte") }] },
    pieces: { float32: graphs },
    int8: { embeddings: blob("e8"), trunk: [blob("l08"), blob("l18")], tasks: { rte: blob("w-rte8") } },
  } as unknown as Manifest;
  const stretch = { from: 0, to: 1, bottom: true };
  const all = (of: Manifest, form: "float32" | "int8" = "float32") => {
    const { stretch: trunk, branch } = pieceKeys(of, form);
    return [trunk(stretch), trunk({ from: 1, to: 2, bottom: false }), branch("rte")];
  };
  const changed = (path: (copy: Record<string, never>) => void) => {
    const copy = structuredClone({ ...manifest, tasks: [] }) as never as Record<string, never>;
    Object.assign(copy, { tasks: [{ ...manifest.tasks[0] }] });
    path(copy);
    const [before, after] = [all(manifest), all(copy as never)];
    return before.map((key, i) => key === after[i]);
  };

  test("are the same for the same bytes, and differ between pieces and between forms", () => {
    expect(changed(() => undefined)).toEqual([true, true, true]);
    expect(new Set([...all(manifest), ...all(manifest, "int8")]).size).toBe(6);
  });

  test("of a family whose layers read the trunk's table change with the embeddings", () => {
    const of = (embeddings: string) => {
      const base = { ...manifest.base, family: "mpnet" as const };
      return all({ ...manifest, base, embeddings: blob(embeddings) });
    };
    expect(of("e").map((key, i) => key === of("x")[i])).toEqual([false, false, false]);
  });

  test.each<[string, (copy: never) => void, boolean[]]>([
    [
      "the embeddings",
      (copy: { embeddings: object }) => Object.assign(copy.embeddings, { sha256: "x" }),
      [false, true, true],
    ],
    [
      "a layer",
      (copy: { trunk: object[] }) => Object.assign(copy.trunk[1] as object, { sha256: "x" }),
      [true, false, true],
    ],
    [
      "a branch",
      (copy: { tasks: object[] }) => Object.assign(copy.tasks[0] as object, { sha256: "x" }),
      [true, true, false],
    ],
    [
      "its place",
      (copy: { tasks: object[] }) => Object.assign(copy.tasks[0] as object, { layers: 2 }),
      [true, true, false],
    ],
    [
      "its labels",
      (copy: { tasks: object[] }) => Object.assign(copy.tasks[0] as object, { labels: ["a"] }),
      [true, true, false],
    ],
    [
      "its graph",
      (copy: { pieces: { float32: typeof graphs } }) =>
        Object.assign(copy.pieces.float32.branches.rte, { sha256: "x" }),
      [true, true, false],
    ],
    [
      "a stretch's graph",
      (copy: { pieces: { float32: typeof graphs } }) =>
        Object.assign(copy.pieces.float32.stretches[0] as object, { sha256: "x" }),
      [false, true, true],
    ],
  ])("%s is of one piece", (_, change, same) => {
    expect(changed(change as never)).toEqual(same);
  });
});
