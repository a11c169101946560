// What stands around texts: the post-processor of a tokenizer.json, and BERT's own.

import { modelError } from "../errors/errors";
import { asText, shown } from "../errors/printable";

/** A special token, or one of the texts. */
export type FramePart =
  | { readonly token: string; readonly id: number; readonly type: number }
  | { readonly text: 0 | 1; readonly type: number };

export interface Frame {
  readonly single: readonly FramePart[];
  readonly pair: readonly FramePart[];
  /** Whether spaces at both ends of a token are left out of its range, and whether the first may be one that was put there. */
  readonly trim: { readonly prefixed: boolean } | null;
}

type Json = Readonly<Record<string, unknown>>;
type IdOf = (token: string) => number | undefined;

const text = (which: 0 | 1, type: number): FramePart => ({ text: which, type });

/** [CLS] A [SEP], and B [SEP] of type 1. */
export function bertFrame(cls: FramePart, sep: FramePart): Frame {
  const single = [cls, text(0, 0), sep];
  return { single, pair: [...single, text(1, 1), { ...sep, type: 1 }], trim: null };
}

/** Whether it puts the same around texts. */
export const sameFrame = (a: Frame, b: Frame): boolean =>
  JSON.stringify([a.single, a.pair]) === JSON.stringify([b.single, b.pair]);

/** The tokens around a text, each once: for messages. */
export const specialsOf = ({ single, pair }: Frame): readonly string[] => [
  ...new Set([...single, ...pair].flatMap((part) => ("token" in part ? [part.token] : []))),
];

/** Tokens beside those of the texts. */
export const sizeOf = (parts: readonly FramePart[]): number => parts.filter((part) => "token" in part).length;

/**
 * The frame that a post-processor makes. Throws modelError (4) for a kind that flexbert does not know, and for one without
 * special tokens, because a head reads the first.
 */
export function readFrame(json: unknown, idOf: IdOf): Frame {
  const steps = stepsOf(json);
  const frames = steps.flatMap((step) => frameKinds[step["type"] as string]?.(step, idOf) ?? []);
  const [frame] = frames;
  if (!frame || frames.length > 1 || sizeOf(frame.single) === 0 || sizeOf(frame.pair) === 0) {
    throw modelError(
      `tokenizer.json: its post_processor puts ${frames.length > 1 ? "two frames" : "no special token"} around a text; flexbert's models read one such as [CLS] text [SEP]`,
    );
  }
  const trims = steps.filter((step) => step["type"] !== "TemplateProcessing" && step["trim_offsets"] === true);
  return { ...frame, trim: trims[0] ? { prefixed: trims[0]["add_prefix_space"] === true } : null };
}

const frameKinds: Readonly<Record<string, (json: Json, idOf: IdOf) => Omit<Frame, "trim"> | null>> = {
  ByteLevel: () => null,
  BertProcessing: (json, idOf) => bertFrame(named(json, "cls", idOf), named(json, "sep", idOf)),
  RobertaProcessing: (json, idOf) => {
    const [cls, sep] = [named(json, "cls", idOf), named(json, "sep", idOf)];
    return { single: [cls, text(0, 0), sep], pair: [cls, text(0, 0), sep, sep, text(1, 0), sep] };
  },
  TemplateProcessing: template,
};

function stepsOf(json: unknown): Json[] {
  if (json === null || json === undefined) return [];
  const { type, processors } = Object(json) as { type?: unknown; processors?: unknown };
  if (type === "Sequence") return [processors ?? []].flat().flatMap(stepsOf);
  if (typeof type === "string" && Object.hasOwn(frameKinds, type)) return [json as Json];
  throw modelError(
    `tokenizer.json has the post_processor ${asText(type)}; flexbert reads ${Object.keys(frameKinds).join(", ")} and Sequence`,
  );
}

/** ["[CLS]", 101] */
function named(json: Json, key: "cls" | "sep", idOf: IdOf): FramePart {
  const [token, id] = [json[key] ?? []].flat() as unknown[];
  return special(token, id, 0, idOf);
}

function special(token: unknown, id: unknown, type: unknown, idOf: IdOf): FramePart {
  if (typeof token !== "string" || typeof id !== "number" || (type !== 0 && type !== 1)) {
    throw modelError(
      `tokenizer.json: its post_processor has the token ${shown(token)} with id ${shown(id)}, type ${shown(type)}`,
    );
  }
  if (idOf(token) === id) return { token, id, type };
  throw modelError(
    `tokenizer.json: its post_processor gives ${shown(token)} the id ${id}, its vocabulary ${idOf(token) ?? "none"}`,
  );
}

function template(json: Json, idOf: IdOf): Omit<Frame, "trim"> {
  const specials = Object(json["special_tokens"]) as Json;
  const parts = (key: "single" | "pair"): FramePart[] => {
    const found = [json[key] ?? []].flat().flatMap((part): FramePart[] => {
      const { SpecialToken: token, Sequence: sequence } = Object(part) as { SpecialToken?: Json; Sequence?: Json };
      const type = (token ?? sequence)?.["type_id"];
      if (token) {
        const { ids, tokens } = Object(specials[asText(token["id"])]) as { ids?: unknown; tokens?: unknown };
        const names = [tokens ?? []].flat();
        return [ids ?? []].flat().map((id, i) => special(names[i], id, type, idOf));
      }
      const which = ["A", "B"].indexOf(asText(sequence?.["id"]));
      if (which < 0 || (type !== 0 && type !== 1)) {
        throw modelError(
          `tokenizer.json: its post_processor has the part ${shown(part)}, which flexbert does not know`,
        );
      }
      return [text(which as 0 | 1, type)];
    });
    const texts = found.flatMap((part) => ("text" in part ? [part.text] : []));
    if (texts.join() === (key === "single" ? "0" : "0,1")) return found;
    throw modelError(
      `tokenizer.json: its post_processor's ${key} must have ${key === "single" ? "A" : "A, then B,"} once`,
    );
  };
  return { single: parts("single"), pair: parts("pair") };
}
