// What the folder of somebody else's model says beside its weights. Whatever would make its outputs others than those of the
// base's layers with its head is refused by name; what changes no output is listed here as such; of the rest the log tells.

import type { Base } from "../checkpoints/bases/base";
import { modelError } from "../errors/errors";
import { shown } from "../errors/printable";
import { canonicalJson } from "../files/hash";
import type { Reporter } from "../messages/reporter";
import type { EncoderConfig } from "../model/config";
import { familyOf } from "../model/families/families";
import { classNameOf, headUnder } from "../model/families/head";
import type { HostTensors } from "../model/tensors";
import type { Task } from "../tasks/task";
import { TUNED } from "../tasks/thresholds";
import type { TokenizerSettings } from "../tokenizer/settings";
import { decidingParts } from "../tokenizer/tokenizer-json";

type Declared = Readonly<Record<string, unknown>>;

const declaredOf = ({ declared }: Base, file: "config" | "tokenizer"): Declared => Object(declared?.[file] ?? {});

/** Of training, or of positions that attention never sees. */
const withoutEffect: ReadonlySet<string> = new Set<keyof EncoderConfig>(["initializerRange", "padTokenId"]);

/** What the comparison of weights tells better than two numbers. */
const ofWeights: ReadonlySet<string> = new Set<keyof EncoderConfig>(["vocabSize", "hiddenSize", "numHiddenLayers"]);

/** Throws modelError (4) where the base's layers, tokenizer or config would compute something else than the folder's. */
export function requireSameModel(base: Base, foreign: Base): void {
  const [ours, other] = [base, foreign].map(({ config }) => familyOf(config).title);
  if (ours !== other) {
    throw modelError(
      `${foreign.folder} is a ${other}, the base ${base.name} a ${ours}: they share no layer. Give its --base`,
    );
  }
  const own = base.config as unknown as Declared;
  const theirs = foreign.config as unknown as Declared;
  for (const key of new Set([...Object.keys(own), ...Object.keys(theirs)])) {
    if (withoutEffect.has(key) || key.endsWith("DropoutProb") || ofWeights.has(key) || own[key] === theirs[key])
      continue;
    throw modelError(
      `${foreign.folder}: its ${snakeCase(key)} is ${shown(theirs[key])}, that of the base ${base.name} ${shown(own[key])}: ` +
        "above the base's layers its branch would give other scores. Give the --base that it was fine-tuned from",
    );
  }
  requireSameTokenizer(base, foreign);
  for (const [key, { fits, why }] of Object.entries(readOtherwise)) {
    const file = key in declaredOf(foreign, "config") ? "config" : "tokenizer";
    const value = declaredOf(foreign, file)[key];
    if (value === undefined || value === null || fits(value)) continue;
    throw modelError(`${foreign.folder}: ${key} is ${shown(value)}: ${why}`);
  }
}

const snakeCase = (key: string) => key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

interface Setting {
  readonly fits: (value: unknown) => boolean;
  readonly why: string;
}

const only =
  (...allowed: readonly unknown[]) =>
  (value: unknown) =>
    allowed.includes(value);
const empty = (value: unknown) => Object.keys(Object(value)).length === 0;

/** Settings of config.json and tokenizer_config.json under which transformers computes something else. */
const readOtherwise: Readonly<Record<string, Setting>> = {
  pruned_heads: { fits: empty, why: "flexbert's layers have all their attention heads" },
  quantization_config: { fits: empty, why: "flexbert reads weights that are numbers alone. Give the model before it" },
  auto_map: { fits: empty, why: "its outputs are those of code of its own, which flexbert does not run" },
  is_encoder_decoder: { fits: only(false), why: "flexbert reads encoders" },
  truncation_side: { fits: only("right"), why: "flexbert cuts the end of long texts" },
  padding_side: { fits: only("right"), why: "flexbert's texts begin at the first position" },
  do_basic_tokenize: { fits: only(true), why: "flexbert splits words at white space and punctuation first" },
};

function requireSameTokenizer(base: Base, foreign: Base): void {
  const difference = tokenizerDifference(base.tokenizer, foreign.tokenizer);
  if (difference === null) return;
  const assumed = foreign.notes?.length ? ` (${foreign.notes.join("; ")})` : "";
  throw modelError(
    `${foreign.folder}: its tokenizer is not that of the base ${base.name}: ${difference}${assumed}. ` +
      "Give the --base that it was fine-tuned from, or mend its tokenizer_config.json and vocabulary",
  );
}

/** Settings with what leaving them out means. */
function whole(tokenizer: TokenizerSettings): Declared {
  const parts = decidingParts(tokenizer);
  if (parts || "file" in tokenizer) return { ...parts };
  const { tokens: _, ...settings } = tokenizer;
  return {
    ...settings,
    stripAccents: settings.stripAccents ?? settings.lowerCase,
    tokenizeChineseChars: settings.tokenizeChineseChars ?? true,
  };
}

function tokenizerDifference(own: TokenizerSettings, theirs: TokenizerSettings): string | null {
  const id = Array.from({ length: Math.max(own.tokens.length, theirs.tokens.length) }).findIndex(
    (_, i) => own.tokens[i] !== theirs.tokens[i],
  );
  if (id >= 0) return `its token ${id} is ${shown(theirs.tokens[id])}, the base's ${shown(own.tokens[id])}`;
  const [a, b] = [whole(own), whole(theirs)];
  const key = [...Object.keys(a), ...Object.keys(b)].find(
    (name) => canonicalJson({ value: a[name] }) !== canonicalJson({ value: b[name] }),
  );
  return key === undefined ? null : `its ${key} is ${shown(b[key])}, the base's ${shown(a[key])}`;
}

const nameOf = (declared: unknown): string => (typeof declared === "string" ? declared : shown(declared));

/** Throws modelError (4) for a head that is not the task's: of another kind, of tokens, without a pooler. */
export function requireHead(foreign: Base, task: Task, head: readonly string[]): void {
  const { folder, tensors } = foreign;
  const config = declaredOf(foreign, "config");
  const architectures = Array.isArray(config["architectures"]) ? config["architectures"].map(nameOf) : [];
  const className = classNameOf(foreign.config, task.kind);
  const wanted = `Give a ${className}`;
  const read = [className, `${familyOf(foreign.config).className}Model`];
  const others = architectures.filter((name) => !read.includes(name));
  if (others.length > 0 && others.length === architectures.length) {
    throw modelError(`${folder} is a ${others.join(", ")}: ${reasonAgainst(others[0] as string, task)}. ${wanted}`);
  }
  const { output } = headUnder(foreign.config, task.kind);
  const lacking = head.find((name) => !(name in tensors) && !name.startsWith(`${output}.`));
  if (lacking !== undefined) {
    throw modelError(
      `${folder} has no pooler (${moduleOf(lacking)}), whose output the head of ${task.name} reads: ` +
        `a new one would change every score. ${wanted}`,
    );
  }
  const { problemType } = task.kind;
  const declared = config["problem_type"] ?? null;
  if (declared !== null && problemType !== undefined && declared !== problemType) {
    throw modelError(
      `${folder}: its problem_type is ${shown(declared)}, ${task.name} is a ${task.kind.name} (${problemType}). ` +
        "Give a task of its kind",
    );
  }
}

/** bert.pooler.dense of bert.pooler.dense.weight. */
const moduleOf = (parameter: string) => parameter.replace(/\.[^.]+$/, "");

function reasonAgainst(architecture: string, { name, kind }: Task): string {
  if (/ForTokenClassification$/.test(architecture)) {
    return `its head labels every token, and ${name} is a ${kind.name} of the whole text`;
  }
  if (/ForSequenceClassification$/.test(architecture)) {
    return `its head labels the whole text, and ${name} labels every word`;
  }
  if (/ForMultipleChoice$/.test(architecture)) return "its head compares several texts, flexbert's read one";
  return "it has no head of a kind that flexbert knows";
}

/**
 * The label names of the folder's outputs, in its order; null for a task without labels. Throws modelError (4) where their
 * number is not that of the outputs, one is there twice, or none are given and the folder does not name its own.
 */
export function labelOrder(
  foreign: Base,
  task: Task,
  given: readonly string[] | null,
  outputs: number,
  { log }: Pick<Reporter, "log">,
): readonly string[] | null {
  const { folder, labels: named = null } = foreign;
  const declared = declaredLabels(foreign);
  if (declared !== null && declared !== outputs) {
    throw modelError(`${folder}: its config.json names ${declared} labels, its classifier has ${outputs} outputs`);
  }
  if (task.labels.length === 0) {
    if (given) throw modelError(`${task.name} is a ${task.kind.name}: it has no labels. Leave --labels out`);
    return null;
  }
  const labels = given ?? named;
  const contradiction = given ? null : contradictionOf(foreign);
  if (contradiction !== null) {
    throw modelError(
      `${folder}: its config.json ${contradiction}. Give --labels with the names of outputs 0 to ${outputs - 1}`,
    );
  }
  if (!labels) {
    throw modelError(
      `${folder} does not name its labels (its config.json has ${declared === null ? "no id2label" : "LABEL_0, ... alone"}). ` +
        `Give --labels with the names of outputs 0 to ${outputs - 1}, such as ${task.labels.join(",")}`,
    );
  }
  const source = given ? "--labels" : "its config.json";
  if (labels.length !== outputs) {
    throw modelError(`${folder} has ${outputs} outputs, ${source} names ${labels.length}: ${labels.join(", ")}`);
  }
  const twice = labels.find((name, i) => labels.indexOf(name) < i);
  if (twice !== undefined) throw modelError(`${folder}: ${source} names the label "${twice}" twice`);
  const but =
    given && named && named.join() !== given.join() ? `, though its config.json says ${named.join(", ")}` : "";
  log(`${folder}: its outputs are ${labels.join(", ")}, as ${source} says${but}`);
  return labels;
}

/** What label2id says otherwise than id2label; LABEL_0, LABEL_1, ... say nothing. */
function contradictionOf(foreign: Base): string | null {
  const { id2label, label2id } = declaredOf(foreign, "config");
  const byId = Object(id2label) as Declared;
  for (const [label, id] of Object.entries(Object(label2id) as Declared)) {
    const other = byId[String(id)];
    if (/^LABEL_\d+$/.test(label) || typeof other !== "string" || /^LABEL_\d+$/.test(other) || other === label)
      continue;
    return `calls output ${id} ${shown(other)} in id2label and ${shown(label)} in label2id`;
  }
  return null;
}

/** How many labels config.json has names for, numbered ones too; null where it says nothing. */
function declaredLabels(foreign: Base): number | null {
  const { id2label, num_labels: count } = declaredOf(foreign, "config");
  if (typeof id2label === "object" && id2label !== null) return Object.keys(id2label).length;
  return typeof count === "number" ? count : null;
}

/** Keys of config.json that say nothing of outputs, and those that others read. */
const known: ReadonlySet<string> = new Set(
  [
    "architectures model_type _name_or_path name_or_path transformers_version torch_dtype dtype finetuning_task",
    "vocab_size hidden_size num_hidden_layers num_attention_heads intermediate_size hidden_act layer_norm_eps",
    "hidden_dropout_prob attention_probs_dropout_prob classifier_dropout initializer_range gradient_checkpointing",
    "max_position_embeddings type_vocab_size pad_token_id bos_token_id eos_token_id sep_token_id",
    "position_embedding_type is_decoder add_cross_attention cross_attention_hidden_size use_cache",
    "id2label label2id num_labels thresholds problem_type tokenizer_class chunk_size_feed_forward tie_word_embeddings",
    "output_attentions output_hidden_states output_past return_dict torchscript use_bfloat16 attn_implementation",
    "directionality pooler_fc_size pooler_num_attention_heads pooler_num_fc_layers pooler_size_per_head pooler_type",
    ...Object.keys(readOtherwise),
  ].flatMap((line) => line.split(" ")),
);

/** Thresholds of labels, as `export transformers` writes them, were chosen on somebody's rows, and a task has its own. */
export function tellThresholds(foreign: Base, task: Task, { log }: Pick<Reporter, "log">): void {
  if (!("thresholds" in declaredOf(foreign, "config"))) return;
  const own =
    task.threshold === TUNED ? "are tuned on its dev rows" : `are ${task.threshold ?? "none"}, as its tasks file says`;
  log(`${foreign.folder}: the thresholds in its config.json are left out; those of ${task.name} ${own}`);
}

/** Says what config.json has beside all that, which nobody here can judge. */
export function tellUnknown(foreign: Base, { warn }: Pick<Reporter, "warn">): void {
  const { numbers, fixed, activation } = familyOf(foreign.config).config;
  const own = [activation, ...Object.keys(fixed), ...Object.values(numbers).map(({ name }) => name)];
  const unknown = Object.keys(declaredOf(foreign, "config")).filter(
    (key) => !known.has(key) && !own.includes(key) && !key.startsWith("_"),
  );
  if (unknown.length === 0) return;
  warn(`${foreign.folder}: config.json has ${unknown.join(", ")}, which flexbert does not know and leaves out`);
}

/** The classifier's rows in the task's order of labels. */
export function mapLabels(
  branch: HostTensors,
  task: Task,
  labels: readonly string[] | null,
  { folder, config }: Pick<Base, "folder" | "config">,
): HostTensors {
  const { output } = headUnder(config, task.kind);
  const [ofWeight, ofBias] = ["weight", "bias"].map((part) => `${output}.${part}`) as [string, string];
  const [weight, bias] = [branch[ofWeight], branch[ofBias]];
  if (!labels || !weight || !bias) return branch;
  const [rows = 0, hidden = 0] = weight.shape;
  const names = task.kind.outputs(task);
  const order = names.map((name) => labels.indexOf(name));
  const missing = names.find((_, i) => (order[i] as number) < 0);
  if (missing !== undefined) {
    throw modelError(
      `${folder} has labels ${labels.join(", ")}; ${task.name} needs ${missing}. Give --labels in the folder's order`,
    );
  }
  const mapped = { weight: new Float32Array(rows * hidden), bias: new Float32Array(rows) };
  for (const [to, from] of order.entries()) {
    mapped.weight.set((weight.data as Float32Array).subarray(from * hidden, (from + 1) * hidden), to * hidden);
    mapped.bias[to] = bias.data[from] as number;
  }
  return {
    ...branch,
    [ofWeight]: { dtype: "float32", shape: weight.shape, data: mapped.weight },
    [ofBias]: { dtype: "float32", shape: bias.shape, data: mapped.bias },
  };
}
