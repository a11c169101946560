// Tags of words, and the spans that they mean: BIO (Ramshaw and Marcus 1995, in the form of CoNLL 2002), BIOES, and IO, which
// has types alone. What an impossible sequence means is conlleval's matter (span-metrics.ts); a model is never given one,
// because it decides for the likeliest sequence of those that its scheme allows (Viterbi).

export const schemes = ["BIO", "BIOES", "IO"] as const;
export type Scheme = (typeof schemes)[number];

export const OUTSIDE = "O";

type Prefix = "O" | "B" | "I" | "E" | "S";

export interface Tag {
  readonly prefix: Prefix;
  /** Of the span; "" outside. */
  readonly type: string;
}

/** Words [start, end) and what they are. */
export interface WordSpan {
  readonly type: string;
  readonly start: number;
  readonly end: number;
}

const PREFIXED = /^([BIES])-(.+)$/su;

/** By the prefixes that labels have; bare names are types of IO. */
export function schemeOf(labels: readonly string[]): Scheme {
  const prefixes = new Set(labels.map((label) => PREFIXED.exec(label)?.[1]));
  if (prefixes.has("E") || prefixes.has("S")) return "BIOES";
  return prefixes.has("B") ? "BIO" : "IO";
}

/** Of a label among others with prefixes. */
export function tagOf(label: string): Tag {
  if (label === OUTSIDE) return { prefix: "O", type: "" };
  const [, prefix = "I", type = label] = PREFIXED.exec(label) ?? [];
  return { prefix: prefix as Prefix, type };
}

const isBare = (labels: readonly string[]) => !labels.some((label) => PREFIXED.test(label));

const parsed = new WeakMap<readonly string[], readonly Tag[]>();

/** Of each label. */
export function tagsOf(labels: readonly string[]): readonly Tag[] {
  const known = parsed.get(labels);
  if (known) return known;
  const bare = isBare(labels);
  const tags = labels.map((label): Tag => (bare && label !== OUTSIDE ? { prefix: "I", type: label } : tagOf(label)));
  parsed.set(labels, tags);
  return tags;
}

const prefixesOf: Readonly<Record<Scheme, readonly Prefix[]>> = {
  BIO: ["O", "B", "I"],
  BIOES: ["O", "B", "I", "E", "S"],
  IO: ["O", "I"],
};

/** Why labels are no tags of the scheme; null where they are. */
export function tagsProblem(labels: readonly string[], scheme: Scheme): string | null {
  if (!labels.includes(OUTSIDE)) return `no label is ${OUTSIDE}, which words outside of every span have`;
  const own = prefixesOf[scheme];
  const bare = isBare(labels);
  const other = labels.find((label, id) => {
    const written = label === OUTSIDE || bare || PREFIXED.test(label);
    return !written || !own.includes(tagsOf(labels)[id]?.prefix as Prefix);
  });
  if (other !== undefined) {
    return `"${other}" is no tag of ${scheme}, which has ${own.map((prefix) => (prefix === "O" ? "O" : `${prefix}-TYPE`)).join(", ")}`;
  }
  return unreachable(labels, scheme);
}

/** Why a tag can be in no sequence of the scheme; null where each can. */
function unreachable(labels: readonly string[], scheme: Scheme): string | null {
  if (scheme === "IO") return null;
  const written = new Set(labels);
  const some = (prefixes: readonly Prefix[], type: string) =>
    prefixes.some((prefix) => written.has(`${prefix}-${type}`));
  for (const { prefix, type } of tagsOf(labels)) {
    const label = `${prefix}-${type}`;
    if ((prefix === "I" || prefix === "E") && !some(["B"], type))
      return `"${label}" never begins a span of ${scheme}, and there is no "B-${type}" before it`;
    if (scheme === "BIOES" && (prefix === "B" || prefix === "I") && !some(["E"], type))
      return `"${label}" never ends a span of ${scheme}, and there is no "E-${type}" behind it`;
  }
  return null;
}

/** The tags of types, in a scheme: O first. */
export const tagsForTypes = (types: readonly string[], scheme: Scheme): string[] => [
  OUTSIDE,
  ...types.flatMap((type) =>
    prefixesOf[scheme].filter((prefix) => prefix !== "O").map((prefix) => `${prefix}-${type}`),
  ),
];

/** Labels as tags: names of types, none of which is O, stand for their tags in BIO. */
export const asTags = (labels: readonly string[], scheme: Scheme = "BIO"): readonly string[] =>
  labels.includes(OUTSIDE) || labels.some((label) => PREFIXED.test(label)) ? labels : tagsForTypes(labels, scheme);

/**
 * The tag ids of spans, as many as there are words; null where a label lacks. Spans do not overlap.
 */
export function tagsOfSpans(spans: readonly WordSpan[], words: number, labels: readonly string[]): number[] | null {
  const scheme = schemeOf(labels);
  const tags = tagsOf(labels);
  const idOf = (prefix: Prefix, type: string) => tags.findIndex((tag) => tag.prefix === prefix && tag.type === type);
  const ids = new Array<number>(words).fill(labels.indexOf(OUTSIDE));
  for (const { type, start, end } of spans) {
    for (let word = start; word < end; word++) {
      const [first, last] = [word === start, word === end - 1];
      const prefix = scheme === "IO" ? "I" : scheme === "BIO" ? (first ? "B" : "I") : endsOf(first, last);
      ids[word] = idOf(prefix, type);
    }
  }
  return ids.includes(-1) ? null : ids;
}

const endsOf = (first: boolean, last: boolean): Prefix => (first ? (last ? "S" : "B") : last ? "E" : "I");

interface Transitions {
  /** Of each tag the ones that may stand before it: `open`, or its own. */
  readonly before: readonly (readonly number[])[];
  /** Tags behind which a sequence may end, and behind which whatever begins may stand. */
  readonly open: readonly number[];
  /** Whether a sequence may begin with each. */
  readonly begins: readonly boolean[];
}

const known = new WeakMap<readonly string[], Transitions>();

function transitionsOf(labels: readonly string[]): Transitions {
  const found = known.get(labels);
  if (found) return found;
  const tags = tagsOf(labels);
  const scheme = schemeOf(labels);
  const ids = tags.map((_, id) => id);
  const isOpen = ({ prefix }: Tag) => scheme !== "BIOES" || (prefix !== "B" && prefix !== "I");
  const begins = tags.map(({ prefix }) => scheme === "IO" || (prefix !== "I" && prefix !== "E"));
  const open = ids.filter((id) => isOpen(tags[id] as Tag));
  const inside = (type: string) =>
    ids.filter((id) => tags[id]?.type === type && (tags[id]?.prefix === "B" || tags[id]?.prefix === "I"));
  const before = tags.map(({ type }, id) => (begins[id] ? open : inside(type)));
  const transitions = { before, open, begins };
  known.set(labels, transitions);
  return transitions;
}

/** Whether a sequence is one of the scheme's. */
export function isPossible(ids: readonly number[], labels: readonly string[]): boolean {
  const { before, open, begins } = transitionsOf(labels);
  const last = ids.at(-1);
  if (last !== undefined && !open.includes(last)) return false;
  return ids.every((id, i) => (i === 0 ? begins[id] : before[id]?.includes(ids[i - 1] as number)));
}

/**
 * The possible sequence whose logits have the largest sum, which is the likeliest (Viterbi 1967); of equal ones that of the
 * lowest ids, from the end.
 * @param logits [words, labels]
 */
export function bestSequence(logits: Float32Array, labels: readonly string[]): number[] {
  const width = labels.length;
  const words = logits.length / width;
  if (words === 0) return [];
  const { before, open, begins } = transitionsOf(labels);
  const came = new Int32Array(words * width);
  let scores = Float64Array.from({ length: width }, (_, id) => (begins[id] ? (logits[id] as number) : -Infinity));
  const bestOf = (ids: readonly number[]) => {
    let best = ids[0] ?? 0;
    for (const id of ids) if ((scores[id] as number) > (scores[best] as number)) best = id;
    return best;
  };
  for (let word = 1; word < words; word++) {
    const likeliest = bestOf(open);
    const next = new Float64Array(width);
    for (let id = 0; id < width; id++) {
      const from = before[id] === open ? likeliest : bestOf(before[id] as readonly number[]);
      came[word * width + id] = from;
      const possible = before[id] === open || (before[id] as readonly number[]).length > 0;
      next[id] = possible ? (scores[from] as number) + (logits[word * width + id] as number) : -Infinity;
    }
    scores = next;
  }
  const ids = new Array<number>(words);
  let id = bestOf(open);
  for (let word = words - 1; word >= 0; word--) {
    ids[word] = id;
    id = came[word * width + id] as number;
  }
  return ids;
}
