// Importing a branch: where it forks is found by bytes, its outputs are put in the task's order, and what does not fit is
// refused before anything is written.

import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "@jest/globals";
import { parse } from "yaml";
import { openBase } from "../../src/checkpoints/bases/base";
import { writeBase } from "../../src/checkpoints/bases/random-base";
import { loadBranch } from "../../src/checkpoints/runs/run-folder";
import { openEngine } from "../../src/engines/open";
import { id8 } from "../../src/files/hash";
import { float32, type HostTensors } from "../../src/model/tensors";
import { importBranch } from "../../src/recipes/import";
import { branchOfBase } from "../../src/recipes/trial/initial-branch";
import { glueTasks } from "../../src/tasks/glue";
import { headOf, type Task } from "../../src/tasks/task";
import { writeHalfSafetensors } from "../checkpoints/half-precision";
import { quietContext, temporaryFolder, tinyBase, tinyRun, writeTinyGlue } from "../tiny";

const folder = temporaryFolder();
const base = tinyBase("import-base");
const { rte } = glueTasks;
const classifier = ["classifier.weight", "classifier.bias"] as const;

beforeAll(() => writeTinyGlue(path.join(folder, "glue")));

/** A fine-tuned model of somebody else: the base with its top layer and a head of their own. */
function theirs(change: HostTensors = {}): HostTensors {
  const branch = branchOfBase(base, { fork: 3, layers: 1 }, headOf(rte, base.config), 5);
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
interface Theirs {
  /** Keys of config.json, tokenizer_config.json, and whole files of the folder, that are not the base's. */
  readonly config?: object;
  readonly tokenizer?: object;
  readonly files?: Readonly<Record<string, string>>;
  readonly task?: Task;
  readonly checkpoints?: string;
}

async function importing(tensors: HostTensors, labels: readonly string[] | null = rte.labels, change: Theirs = {}) {
  const place = path.join(folder, `theirs${count++}`);
  await writeBase({ ...base, tensors }, place);
  edit(path.join(place, "config.json"), change.config ?? {});
  edit(path.join(place, "tokenizer_config.json"), change.tokenizer ?? {});
  for (const [name, text] of Object.entries(change.files ?? {})) writeFileSync(path.join(place, name), text);
  const { engine } = await openEngine("wasm", {});
  const run = { ...tinyRun(folder), checkpoints: change.checkpoints ?? path.join(folder, `checkpoints${count}`) };
  const request = { task: change.task ?? rte, base, folder: place, labels, maxLength: 32, run };
  const { context, lines } = quietContext(engine);
  return { imported: importBranch(request, context), checkpoints: run.checkpoints, lines };
}

function edit(file: string, keys: object): void {
  const before = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : {};
  writeFileSync(file, JSON.stringify({ ...before, ...keys }));
}

test("the branch is what differs, above the fork, scored on the dev rows", async () => {
  const run = await (await importing(theirs())).imported;
  expect(run.record).toMatchObject({ method: "import", state: "finished", fork: 3, layers: 1, full: false, steps: 0 });
  expect(run.record.score).toEqual(expect.any(Number));
  expect(path.basename(run.folder)).toBe(`k01-import-${run.record.id}`);
  const branch = await loadBranch(run, rte, base.config);
  expect(Object.keys(branch).filter((name) => /layer\.[0-2]\.|embeddings/.test(name))).toEqual([]);
  expect(branch["classifier.bias"]?.data).toEqual(Float32Array.of(0.25, -0.5));
});

test.each(["F16", "BF16"] as const)(
  "a folder at %s, its vocabulary padded, shares the base's layers",
  async (dtype) => {
    const change = theirs();
    const name = "bert.embeddings.word_embeddings.weight";
    const words = change[name] as HostTensors[string];
    const [rows = 0, hidden = 0] = words.shape;
    const padded = float32([rows + 8, hidden], Float32Array.from([...words.data, ...new Float32Array(8 * hidden)]));
    const place = path.join(folder, `half-${dtype}`);
    const config = { ...base.config, vocabSize: rows + 8 };
    await writeBase({ ...base, config, tensors: { ...change, [name]: padded } }, place);
    writeHalfSafetensors(path.join(place, "model.safetensors"), { ...change, [name]: padded }, dtype);
    const { engine } = await openEngine("wasm", {});
    const { context, lines } = quietContext(engine);
    const run = { ...tinyRun(folder), checkpoints: path.join(folder, `checkpoints-${dtype}`) };
    const request = { task: rte, base, folder: place, labels: rte.labels, maxLength: 32, run };
    const imported = await importBranch(request, context);
    expect(imported.record).toMatchObject({ fork: 3, layers: 1 });
    expect(lines.join("\n")).toContain(`holds ${dtype}: its lower layers equal import-base at that precision`);
  },
);

test("outputs in another order are put in the task's", async () => {
  const asTheirs = await loadBranch(await (await importing(theirs())).imported, rte, base.config);
  const { imported } = await importing(theirs(), [...rte.labels].reverse());
  const turned = await loadBranch(await imported, rte, base.config);
  expect(turned["classifier.bias"]?.data).toEqual(Float32Array.of(-0.5, 0.25));
  const hidden = base.config.hiddenSize;
  const [weight, bias] = classifier.map((name) => turned[name]);
  expect(bias?.shape).toEqual([2]);
  expect(weight?.data.slice(0, hidden)).toEqual(asTheirs["classifier.weight"]?.data.slice(hidden));
});

describe("refused, with nothing written:", () => {
  const embeddings = "bert.embeddings.LayerNorm.weight";
  const positions = "bert.embeddings.position_embeddings.weight";
  const wide = (rows: number) => ({
    "classifier.weight": float32([rows, base.config.hiddenSize], new Float32Array(rows * base.config.hiddenSize)),
    "classifier.bias": float32([rows], new Float32Array(rows)),
  });
  test.each<[string, () => HostTensors, readonly string[] | null, RegExp]>([
    [
      "trained embeddings",
      () => theirs({ [embeddings]: halved(base.tensors, embeddings) }),
      null,
      /bert\.embeddings\.LayerNorm\.weight differs \(.*, the base's .*\); .*shares no trunk/,
    ],
    [
      "a base of other positions",
      () => theirs({ [positions]: float32([2, base.config.hiddenSize], new Float32Array(2 * base.config.hiddenSize)) }),
      null,
      /position_embeddings/,
    ],
    [
      "NaN in a weight",
      () => theirs({ "classifier.bias": float32([2], Float32Array.of(0, Number.NaN)) }),
      null,
      /model\.safetensors: classifier\.bias is NaN at \[1\]/,
    ],
    ["no layer of its own", () => ({ ...base.tensors, ...wide(2) }), null, /every layer equals the base/],
    ["other outputs", () => theirs(wide(3)), null, /has 3 outputs, rte has 2/],
    ["a label that is missing", () => theirs(), ["entailment", "maybe"], /rte needs not_entailment. Give --labels/],
  ])("%s", async (_, tensors, labels, message) => {
    const { imported, checkpoints } = await importing(tensors(), labels);
    await expect(imported).rejects.toMatchObject({ exitCode: 4, message: expect.stringMatching(message) });
    expect(existsSync(checkpoints)).toBe(false);
  });

  // What transformers computes with these settings is not what the base's layers compute: each is refused by its name.
  test.each<[string, Theirs, RegExp, (readonly string[] | null)?]>([
    // vllm#11815, transformers-interpret#107
    [
      "another layer_norm_eps",
      { config: { layer_norm_eps: 1e-5 } },
      /layer_norm_eps is 0.00001, that of the base .* 1e-12/,
    ],
    [
      "other attention heads",
      { config: { num_attention_heads: 2 } },
      /num_attention_heads is 2, that of the base .* 4/,
    ],
    [
      "another problem",
      { config: { problem_type: "multi_label_classification" } },
      /problem_type is "multi_label_class/,
    ],
    ["a problem nobody knows", { config: { problem_type: "ranking" } }, /problem_type is "ranking"/],
    ["pruned heads", { config: { pruned_heads: { "0": [1] } } }, /pruned_heads is {"0":\[1\]}/],
    ["code of its own", { config: { auto_map: { AutoModel: "m.M" } } }, /auto_map/],
    ["quantized weights", { config: { quantization_config: { bits: 8 } } }, /quantization_config/],
    ["another casing", { tokenizer: { do_lower_case: false } }, /lowerCase is false, the base's true/],
    ["accents that stay", { tokenizer: { strip_accents: false } }, /stripAccents is false, the base's true/],
    ["Chinese as other letters", { tokenizer: { tokenize_chinese_chars: false } }, /tokenizeChineseChars is false/],
    ["texts cut at their beginning", { tokenizer: { truncation_side: "left" } }, /truncation_side is "left"/],
    ["padding before the text", { tokenizer: { padding_side: "left" } }, /padding_side is "left"/],
    ["words that are not split", { tokenizer: { do_basic_tokenize: false } }, /do_basic_tokenize is false/],
    [
      "another vocabulary",
      { files: { "vocab.txt": `${[...base.tokenizer.tokens].with(7, "zebra").join("\n")}\n` } },
      /its token 7 is "zebra", the base's "good"/,
    ],
    // rust-bert#351
    ["a head of tokens", { config: { architectures: ["BertForTokenClassification"] } }, /labels every token/],
    ["a head of choices", { config: { architectures: ["BertForMultipleChoice"] } }, /compares several texts/],
    [
      "a head that is no name",
      { config: { architectures: [{ toString: null }] } },
      /is a \{"toString":null\}: it has no head/,
    ],
    ["a head of spans", { config: { architectures: ["BertForQuestionAnswering"] } }, /no head of a kind that/],
    // TextAttack#684, transformers#10386
    [
      "labels without names",
      { config: { id2label: { 0: "LABEL_0", 1: "LABEL_1" } } },
      /Give --labels .*entailment,not/,
      null,
    ],
    ["no labels", {}, /has no id2label\). Give --labels/, null],
    // transformers#10449
    ["a name too many", { config: { id2label: { 0: "a", 1: "b", 2: "c" } } }, /names 3 labels, its classifier has 2/],
    ["fewer than outputs", { config: { id2label: { 0: "entailment" } } }, /names 1 labels, its classifier has 2/, null],
    ["--labels of one name", {}, /has 2 outputs, --labels names 1: entailment/, ["entailment"]],
    // huggingface/transformers#28589: a script wrote one of the two as the copy of another task's
    [
      "two orders of labels",
      {
        config: { id2label: { 0: "entailment", 1: "not_entailment" }, label2id: { entailment: 1, not_entailment: 0 } },
      },
      /config.json calls output 1 "not_entailment" in id2label and "entailment" in label2id. Give --labels/,
      null,
    ],
    ["a name twice", {}, /--labels names the label "entailment" twice/, ["entailment", "entailment"]],
  ])("%s", async (_, change, message, labels = rte.labels) => {
    const { imported, checkpoints } = await importing(theirs(), labels, change);
    await expect(imported).rejects.toMatchObject({ exitCode: 4, message: expect.stringMatching(message) });
    expect(existsSync(checkpoints)).toBe(false);
  });

  test("a head without pooler", async () => {
    const tensors = Object.fromEntries(Object.entries(theirs()).filter(([name]) => !name.startsWith("bert.pooler")));
    await expect((await importing(tensors)).imported).rejects.toMatchObject({
      exitCode: 4,
      message: expect.stringMatching(/has no pooler .* a new one would change every score/),
    });
  });

  test("labels of a task that has values", async () => {
    const one = {
      "classifier.weight": float32([1, 16], new Float32Array(16)),
      "classifier.bias": float32([1], new Float32Array(1)),
    };
    const { imported } = await importing(theirs(one), ["value"], { task: glueTasks.stsb });
    await expect(imported).rejects.toThrow("stsb is a regression: it has no labels. Leave --labels out");
  });
});

test.each<[string, Theirs]>([
  ["config.json without defaults", { config: { layer_norm_eps: undefined, pad_token_id: undefined } }],
  [
    "dropout, as training had it",
    { config: { hidden_dropout_prob: 0.3, classifier_dropout: 0.2, initializer_range: 1 } },
  ],
  [
    "two orders of labels, where --labels says which",
    { config: { id2label: { 0: "entailment", 1: "not_entailment" }, label2id: { entailment: 1, not_entailment: 0 } } },
  ],
  ["its problem said", { config: { problem_type: "single_label_classification" } }],
  ["settings said that are BERT's", { tokenizer: { strip_accents: null, padding_side: "right" } }],
])("taken, because no output depends on it: %s", async (_, change) => {
  const run = await (await importing(theirs(), rte.labels, change)).imported;
  expect(run.record.state).toBe("finished");
});

test("the order of outputs and what config.json has beside BERT's keys is said", async () => {
  const id2label = { 0: "not_entailment", 1: "entailment" };
  // As transformers fills it in beside an id2label.
  const label2id = { LABEL_0: 0, LABEL_1: 1 };
  const { imported, lines } = await importing(theirs(), null, {
    config: { id2label, label2id, adapters: {}, tie_word_embeddings: true },
  });
  const { folder: place } = await imported;
  expect(lines).toContainEqual(
    expect.stringMatching(/its outputs are not_entailment, entailment, as its config.json says$/),
  );
  expect(lines).toContainEqual(expect.stringMatching(/config.json has adapters, which flexbert does not know/));
  const config = parse(readFileSync(path.join(place, "config.yaml"), "utf8"));
  expect(config).toMatchObject({ task: "rte", max_length: 32, labels: ["not_entailment", "entailment"] });
  expect(path.isAbsolute(config.import)).toBe(true);
});

test("another head, or another order of its labels, is another run", async () => {
  const checkpoints = path.join(folder, "checkpoints-ids");
  const into = { checkpoints };
  const other = { "classifier.bias": float32([2], Float32Array.of(1, 2)) };
  const ids = new Set<string>();
  for (const [tensors, labels] of [
    [theirs(), rte.labels],
    [theirs(), [...rte.labels].reverse()],
    [theirs(other), rte.labels],
    [theirs(), rte.labels],
  ] as const) {
    ids.add((await (await importing(tensors, labels, into)).imported).record.id);
  }
  expect(ids.size).toBe(3);
});

test("an import from before heads were part of ids keeps its own", async () => {
  const checkpoints = path.join(folder, "checkpoints-earlier");
  const run = await (await importing(theirs(), rte.labels, { checkpoints })).imported;
  const { base: of, devData, task } = run.record;
  const foreign = await openBase(path.join(folder, `theirs${count - 1}`));
  const id = id8({ format: 1, method: "import", base: of.sha256, branch: foreign.sha256, task, devData });
  const earlier = path.join(path.dirname(run.folder), `k01-import-${id}`);
  renameSync(run.folder, earlier);
  writeFileSync(path.join(earlier, "run.json"), JSON.stringify({ ...run.record, id }));
  const again = await (await importing(theirs(), rte.labels, { checkpoints })).imported;
  expect([again.folder, again.record.id, again.record.sha256]).toEqual([earlier, id, run.record.sha256]);
  const turned = await (await importing(theirs(), [...rte.labels].reverse(), { checkpoints })).imported;
  expect(turned.record.id).not.toBe(id);
});
