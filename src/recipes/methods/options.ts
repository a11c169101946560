// How `distill --method` asks for whole students. At their defaults no run of flexbert's own students has any of this in its id.

import { usageError } from "../../errors/errors";
import { type Definitions, option, optional, silentDefault, type Values } from "../../options/option";
import { choice, decimal } from "../../options/readers";
import { defaultOf } from "../../options/settings";
import type { Layers, Variant } from "../recipe";
import type { Method } from "./method";
import { methods } from "./methods";
import { firstRates } from "./theseus";

/** flexbert's own students: branches above a fork of the trunk. */
const OWN = "flexbert";

export const methodOptions = {
  method: silentDefault(
    option(choice([OWN, ...methods.keys()]), {
      flag: "--method",
      value: "<name>",
      help: `flexbert's branches, or whole encoders taught as others do: ${[...methods.keys()].join(", ")}`,
      fallback: OWN,
    }),
  ),
  beta: optional(decimal({ min: 0 }), {
    flag: "--beta",
    value: "<weight>",
    help: "of a method's comparison of layers (default by the method)",
  }),
  layerMap: silentDefault(
    option(choice(["skip", "last"]), {
      flag: "--layer-map",
      value: "<which>",
      help: "of the teacher's layers pkd compares with: every k-th, or the last",
      fallback: "skip",
    }),
  ),
  firstStage: optional(decimal({ min: 0, max: 1 }), {
    flag: "--first-stage",
    value: "<share>",
    help: "of the steps on layers alone, or replacing them (minilm, tinybert, theseus; default 0.5)",
  }),
  replacing: silentDefault(
    option(choice(["constant", "linear"]), {
      flag: "--replacing",
      value: "<schedule>",
      help: "how often theseus puts a layer in its teacher's place: constant, or linear, rising to always",
      fallback: "linear",
    }),
  ),
  replacingRate: optional(decimal({ min: 0.01, max: 1 }), {
    flag: "--replacing-rate",
    value: "<p>",
    help: "that probability, or where it begins (theseus; default 0.5 constant, 0.3 linear)",
  }),
};

/** An option as a problem names it: its flag without dashes, as experiment files are told of it too. */
interface Refused {
  readonly flag: string;
  readonly why: string;
}

/** The variants of whole students that options ask for; null where they ask for flexbert's own. Throws usageError (2). */
export function wholeVariants(
  values: WholeValues,
  definitions: Definitions,
  { fitting }: Layers,
  options: Variant["options"],
): Variant[] | null {
  const method = methods.get(values.method);
  const refused = firstRefused(values, definitions, method);
  if (refused) throw usageError(`${refused.flag}: ${refused.why}. Leave it out`);
  if (!method) return null;
  const { layers, firstStage, replaces } = method;
  const { init = method.start.init, initLayers = method.start.initLayers } = values;
  const start = initLayers === "depth" || initLayers === "bottom" ? { init } : { init, initLayers };
  const own = {
    method: method.name,
    ...(layers ? { beta: values.beta ?? layers.beta } : {}),
    ...(layers?.mapped ? { layerMap: values.layerMap } : {}),
    ...(firstStage === undefined ? {} : { firstStage: values.firstStage ?? firstStage }),
    ...(replaces
      ? { replacing: values.replacing, replacingRate: values.replacingRate ?? firstRates[values.replacing] }
      : {}),
  };
  // What labels alone teach has neither temperature nor alpha.
  const taught = replaces ? {} : options;
  if (replaces && init === "pretrained") {
    throw usageError(
      `--init pretrained: a student of --method ${method.name} has its teacher's embeddings and head. Leave it out`,
    );
  }
  return fitting("student-layers", values.studentLayers)
    .map(Number)
    .sort((a, b) => b - a)
    .map((count) => {
      if (layers?.least === undefined || count >= layers.least)
        return { place: { fork: null, layers: count }, ...start, options: { ...taught, ...own } };
      throw usageError(
        `--student-layers ${values.studentLayers.text}: ${method.name} compares layers under a student's top one. Give at least ${layers.least}`,
      );
    });
}

type WholeValues = Values<typeof methodOptions> & {
  readonly studentLayers: Parameters<Layers["fitting"]>[1];
  readonly init?: NonNullable<Variant["init"]> | undefined;
  readonly initLayers?: NonNullable<Variant["initLayers"]> | "depth" | undefined;
};

/** What of flexbert's own students means nothing for whole ones, and the other way round. */
const ofBranches = ["studentForks", "match", "teachers", "alphaEnd", "transfer"];

function firstRefused(values: WholeValues, definitions: Definitions, method: Method | undefined): Refused | null {
  const given = (name: string): string | null => {
    const definition = definitions[name];
    const value = (values as Readonly<Record<string, unknown>>)[name];
    if (!definition || value === undefined) return null;
    return JSON.stringify(value) === JSON.stringify(defaultOf(definition)) ? null : definition.flag;
  };
  const find = (names: readonly string[], why: string): Refused | null => {
    const flag = names.map(given).find((found) => found !== null);
    return flag ? { flag, why } : null;
  };
  if (!method) return find(Object.keys(methodOptions).slice(1), "it is an option of --method's other than flexbert");
  const { name, layers, firstStage, replaces } = method;
  return (
    find(ofBranches, `a student of --method ${name} is a whole encoder on no fork, taught by its teacher alone`) ??
    (layers ? null : find(["beta"], `${name} compares no layers`)) ??
    (layers?.mapped ? null : find(["layerMap"], `${name} leaves no choice of layers`)) ??
    (firstStage === undefined ? find(["firstStage"], `${name} has one stage`) : null) ??
    (replaces
      ? find(["temperature", "alpha"], `${name} learns labels alone`)
      : find(["replacing", "replacingRate"], `${name} puts no layer in its teacher's place`))
  );
}
