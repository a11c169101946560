// The licence of a merged model's base, which the model inherits: for the card and for exports.

/** Under which bases were published that flexbert knows by name. */
const licences: readonly (readonly [name: RegExp, licence: string])[] = [
  [/^(google-bert\/)?bert-(base|large)-(un)?cased$/, "apache-2.0"],
  [/^google\/bert_(un)?cased_L-\d+_H-\d+_A-\d+$/, "apache-2.0"], // Google's zips
  [/^sentence-transformers\/all-MiniLM-L6-v2$/, "apache-2.0"],
];

/** As the hub spells it; null where flexbert does not know it. */
export const licenceOf = (base: string): string | null => licences.find(([name]) => name.test(base))?.[1] ?? null;

/** For those who get an export alone. */
export const licenceForCallers = (base: string): string => licenceOf(base) ?? "unknown: see the base's own licence";
