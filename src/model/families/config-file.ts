// Reading and writing config.json, or Google's bert_config.json (BERT's keys, fewer of them). What the model code does not
// compute is refused here, by name, before any weight is read.

import { modelError } from "../../errors/errors";
import { shown } from "../../errors/printable";
import { type EncoderConfig, type FamilyName, MOST_LAYERS } from "../config";
import { activationOf, hiddenActs } from "../hidden-act";
import { families, familyOf, type ModelType, modelTypeOf, refused } from "./families";
import type { Family } from "./family";
import { type ConfigFile, readNumber } from "./keys";

/**
 * Reads a parsed config.json or bert_config.json; `source` names it in errors.
 * Throws modelError (4) naming every key with its value that has a wrong type or asks for what no family here computes.
 */
export function parseConfig(json: unknown, source: string): EncoderConfig {
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw modelError(`${source} is no JSON object: give the config.json of a BERT model`);
  }
  const file = json as ConfigFile;
  const problems: string[] = [];
  const type = readType(file, problems);
  const family: Family = families[type];
  const hiddenAct = readVariants(file, type, family, problems);
  const { numbers, constants, others } = family.config;
  const read = Object.entries(numbers).map(([property, key]) => [property, readNumber(file, key, problems)]);
  const numbersRead = { ...Object.fromEntries(read), ...constants } as unknown as EncoderConfig;
  const sizes = { ...numbersRead, ...others?.read(file, numbersRead, problems) };
  if (sizes.numHiddenLayers > MOST_LAYERS) {
    problems.push(
      `${family.config.numbers["numHiddenLayers"]?.name} is ${sizes.numHiddenLayers}; it must be at most ${MOST_LAYERS}`,
    );
  }
  if (problems.length === 0) problems.push(...sizeProblems(sizes, family));
  if (problems.length > 0) throw modelError(`${source}: ${problems.join("; ")}`);
  return {
    ...(type === "bert" ? {} : { family: type satisfies FamilyName }),
    ...sizes,
    ...(hiddenAct === "gelu" || hiddenAct === null ? {} : { hiddenAct }),
  };
}

/** A config of a family with its own defaults in all but these: for bases with random weights. */
export function sizedConfig(
  type: ModelType,
  sizes: Partial<Omit<EncoderConfig, "family" | "hiddenAct">>,
): EncoderConfig {
  const { numbers } = families[type].config as Family["config"];
  const given = Object.entries(sizes).flatMap(([property, value]) => {
    const key = numbers[property];
    return key ? [[key.name, value] as const] : [];
  });
  return parseConfig({ model_type: type, ...Object.fromEntries(given) }, type);
}

/** Files from before there was a model_type are BERT's; what no family is, is looked at as if it were BERT's too. */
function readType(file: ConfigFile, problems: string[]): ModelType {
  const given = file["model_type"] ?? "bert";
  if (typeof given === "string" && Object.hasOwn(families, given)) return given as ModelType;
  const why = typeof given === "string" && Object.hasOwn(refused, given) ? ` (${refused[given]})` : "";
  problems.push(`model_type is ${shown(given)}${why}; supported are ${Object.keys(families).join(", ")}`);
  return "bert";
}

/** The activation, null for one that is not computed. Adds what the file asks for that the model code does not compute. */
function readVariants(file: ConfigFile, type: ModelType, { config }: Family, problems: string[]) {
  for (const [name, value] of Object.entries(config.fixed)) {
    const given = file[name] ?? value;
    if (given !== value) problems.push(`${name} is ${shown(given)}; only ${shown(value)} is supported`);
  }
  const architectures = [file["architectures"] ?? []].flat();
  const other = architectures.find((name) => typeof name === "string" && !/^(TF|Flax)?Bert[A-Z]/.test(name));
  if (other !== undefined && problems.length === 0 && file["model_type"] === undefined) {
    problems.push(`its architecture is ${shown(other)}; only BERT's are supported`);
  }
  const act = file[config.activation] ?? config.activationFallback ?? "gelu";
  const hiddenAct = activationOf(act);
  if (hiddenAct === null) {
    problems.push(`${config.activation} is ${shown(act)}; supported are ${hiddenActs.join(", ")}`);
  }
  const quantised = file["quantization_config"] ?? null;
  if (quantised !== null) problems.push("quantization_config: its weights are quantised. Take those that are not");
  const isKnown = file["model_type"] === type || Object.values(config.numbers).some(({ name }) => name in file);
  if (problems.length === 0 && !isKnown)
    problems.push("it has none of BERT's keys: give the config.json of a BERT model");
  return hiddenAct;
}

/** @param sizes each of them as its key wants it */
function sizeProblems(sizes: EncoderConfig, { config, inputs }: Family): string[] {
  const name = (key: "hiddenSize" | "numAttentionHeads" | "maxPositionEmbeddings") => config.numbers[key]?.name ?? key;
  const problems: string[] = [];
  if (sizes.hiddenSize % sizes.numAttentionHeads !== 0) {
    problems.push(
      `${name("hiddenSize")} ${sizes.hiddenSize} is not divisible by ${name("numAttentionHeads")} ${sizes.numAttentionHeads}`,
    );
  }
  if (sizes.maxPositionEmbeddings <= inputs.firstPosition(sizes)) {
    problems.push(
      `${name("maxPositionEmbeddings")} is ${sizes.maxPositionEmbeddings}, and positions begin at ${inputs.firstPosition(sizes)}`,
    );
  }
  return problems;
}

/** A config.json that transformers reads; `parseConfig` gives the same config back. */
export function configJson(config: EncoderConfig): Record<string, unknown> {
  const { numbers, written, activation, others } = familyOf(config).config;
  const values = Object.entries(numbers).map(([property, { name }]) => [
    name,
    (config as unknown as Record<string, number>)[property],
  ]);
  return {
    model_type: modelTypeOf(config),
    [activation]: config.hiddenAct ?? "gelu",
    ...written,
    ...Object.fromEntries(values),
    ...others?.write(config),
  };
}
