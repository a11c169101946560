// Families of encoders: their config.json, tensor names and what is constant in them.

import { describe, expect, test } from "@jest/globals";
import type { FamilyName } from "../../src/model/config";
import { dropoutSites } from "../../src/model/dropout";
import { configJson, parseConfig, sizedConfig } from "../../src/model/families/config-file";
import {
  families,
  familyOf,
  inLayer,
  isEmbedding,
  isShared,
  layerOf,
  type ModelType,
  mostTokens,
} from "../../src/model/families/families";
import type { Family } from "../../src/model/families/family";
import { relativeBucket } from "../../src/model/families/mpnet";
import { baseParameters, branchTensors, stretchTensors } from "../../src/model/parameters";
import { placeOf } from "../../src/model/place";

const types = Object.keys(families) as ModelType[];
const sizes = { vocabSize: 50, hiddenSize: 16, numHiddenLayers: 3, numAttentionHeads: 4, intermediateSize: 32 };

describe.each(types)("%s", (type) => {
  const config = sizedConfig(type, { ...sizes, maxPositionEmbeddings: 40, hiddenDropoutProb: 0.1 });
  const family: Family = families[type];
  const parameters = baseParameters(config).map(({ name }) => name);

  test("its config.json is read back as it was, under the family's own keys", () => {
    expect(config).toMatchObject({ ...sizes, maxPositionEmbeddings: 40 });
    expect(config.family).toBe(type === "bert" ? undefined : (type as FamilyName));
    const json = JSON.parse(JSON.stringify(configJson(config)));
    expect(json.model_type).toBe(type);
    expect(parseConfig(json, "again")).toEqual(config);
    expect(parseConfig({ ...json, [family.config.activation]: "relu" }, "again")).toEqual({
      ...config,
      hiddenAct: "relu",
    });
  });

  test("what it has of keys is checked, and named as the file names it", () => {
    const json = configJson(config);
    const heads = family.config.numbers["numAttentionHeads"]?.name as string;
    expect(() => parseConfig({ ...json, [heads]: "4" }, "c.json")).toThrow(`c.json: ${heads} is "4"`);
    expect(() => parseConfig({ ...json, [heads]: 5 }, "c.json")).toThrow(`is not divisible by ${heads} 5`);
    for (const [key, value] of Object.entries(family.config.fixed)) {
      expect(() => parseConfig({ ...json, [key]: "other" }, "c.json")).toThrow(`${key} is "other"; only`);
      expect(parseConfig({ ...json, [key]: value }, "c.json")).toEqual(config);
    }
  });

  test("every parameter is the embeddings', one layer's or the head's, and none is there twice", () => {
    expect(new Set(parameters).size).toBe(parameters.length);
    const head = family.head.parameters(config, 2).map(({ name }) => name);
    for (const name of parameters) {
      const places = [isEmbedding(name), layerOf(name) >= 0, head.includes(name)];
      expect(places.filter(Boolean)).toEqual([true]);
    }
    expect(family.names.shared.every((name) => parameters.includes(name) && isShared(name))).toBe(true);
    expect(parameters).toContain(family.names.words);
    for (const { name } of family.layerParameters(config, 1)) {
      expect(layerOf(name)).toBe(1);
      expect(inLayer(inLayer(name, 12), 1)).toBe(name);
    }
  });

  test("a stretch above the embeddings has what layers share beside its own", () => {
    const named = Object.fromEntries(parameters.map((name) => [name, name]));
    const own = family.layerParameters(config, 1).map(({ name }) => name);
    const stretch = Object.keys(stretchTensors(named, { from: 1, to: 2, bottom: false }));
    expect(stretch.sort()).toEqual([...family.names.shared, ...own].sort());
    expect(Object.keys(branchTensors(named, { fork: 1, layers: 1 })).filter(isShared)).toEqual([]);
    const full = Object.keys(branchTensors(named, placeOf(3, "full")));
    expect(full.filter(isShared)).toEqual(family.names.shared);
  });

  test("dropout sites of a branch have names and numbers of their own", () => {
    const rates = Object.keys(config).filter((key) => key.endsWith("DropoutProb"));
    const dropping = { ...config, ...Object.fromEntries(rates.map((rate) => [rate, 0.1])) };
    const full = dropoutSites(dropping, placeOf(3, "full"), 2, 5, "first");
    expect(new Set(full.map(({ name }) => name)).size).toBe(full.length);
    expect(new Set(full.map(({ id }) => id)).size).toBe(full.length);
    expect(full[0]).toMatchObject({ name: "pooled", id: 0 });
    const some = dropoutSites(dropping, placeOf(3, 1), 2, 5, "first");
    for (const { name, id } of some) expect(full.find((site) => site.name === name)?.id).toBe(id);
  });
});

test("no two families give their layers or embeddings one beginning, but where they are one encoder", () => {
  const layers = new Map<string, Set<string>>();
  for (const type of types) {
    const { names } = families[type];
    layers.set(names.layers, (layers.get(names.layers) ?? new Set()).add(names.prefix));
  }
  expect([...layers.values()].every((prefixes) => prefixes.size === 1)).toBe(true);
});

test.each<[ModelType, number, number]>([
  ["bert", 512, 512],
  ["distilbert", 512, 512],
  ["mpnet", 514, 512],
  ["roberta", 514, 512],
])("a table of %s with %i rows takes %i tokens", (type, rows, tokens) => {
  expect(mostTokens(sizedConfig(type, { maxPositionEmbeddings: rows }))).toBe(tokens);
});

test("positions that begin behind the table's end are refused", () => {
  const json = configJson(sizedConfig("roberta", sizes));
  const wrong = { ...json, max_position_embeddings: 2 };
  expect(() => parseConfig(wrong, "c.json")).toThrow("max_position_embeddings is 2, and positions begin at 2");
});

// Where transformers' MPNetEncoder.relative_position_bucket steps to another bucket, of keys before and behind the query.
const steps: readonly (readonly [number, number])[] = [
  ...([
    [-600, 15],
    [-90, 14],
    [-63, 13],
    [-45, 12],
    [-31, 11],
    [-22, 10],
    [-15, 9],
    [-11, 8],
    [-7, 7],
  ] as const),
  ...([
    [-6, 6],
    [-5, 5],
    [-4, 4],
    [-3, 3],
    [-2, 2],
    [-1, 1],
    [0, 0],
    [1, 17],
    [2, 18],
    [3, 19],
    [4, 20],
  ] as const),
  ...([
    [5, 21],
    [6, 22],
    [7, 23],
    [8, 24],
    [12, 25],
    [16, 26],
    [23, 27],
    [32, 28],
    [46, 29],
    [64, 30],
    [91, 31],
  ] as const),
];

test("relative positions fall into T5's buckets as transformers has them", () => {
  for (let distance = -600; distance <= 600; distance++) {
    const [, bucket] = steps.filter(([from]) => from <= distance).at(-1) as readonly [number, number];
    expect([distance, relativeBucket(distance)]).toEqual([distance, bucket]);
  }
});

test("keys that a family spells in two ways are read in both", () => {
  const config = { model_type: "distilbert", hidden_size: 32, num_hidden_layers: 2, num_attention_heads: 2 };
  expect(parseConfig(config, "c.json")).toMatchObject({ hiddenSize: 32, numHiddenLayers: 2, numAttentionHeads: 2 });
  expect(familyOf({ family: "distilbert" }).className).toBe("DistilBert");
});
