// Every method by which `distill --method` teaches a whole student. One more is a file and a line here.

import { distilbert } from "./distilbert";
import type { Method } from "./method";
import { minilm } from "./minilm";
import { pkd } from "./pkd";
import { theseus } from "./theseus";
import { tinybert } from "./tinybert";
import { vanillaKd } from "./vanilla-kd";

const all = [vanillaKd, distilbert, pkd, theseus, tinybert, minilm] as const satisfies readonly Method[];

export const methods: ReadonlyMap<string, Method> = new Map(all.map((method) => [method.name, method]));

/** The method of a run's or a trial's options; null for flexbert's own, which trains branches. */
export const methodOf = ({ method }: Readonly<Record<string, unknown>>): Method | null =>
  methods.get(String(method)) ?? null;
