// Whether a folder's file system has what several machines need of it.

import type { Finding } from "../../jobs/probe/roles";
import { optional, type Values } from "../../options/option";
import { choice } from "../../options/readers";
import { type Caller, callOf } from "../caller";

export const probeOptions = {
  role: optional(choice(["first", "second"]), {
    flag: "--role",
    value: "<which>",
    help: "first or second of two machines; the first has the findings",
    inConfig: false,
  }),
};

/** Of the second of two machines there are none. */
export async function probe(
  folder: string,
  { role }: Values<typeof probeOptions>,
  caller: Caller = {},
): Promise<readonly Finding[]> {
  const { signal } = callOf(caller);
  const { probeFolder, probeWith } = await import("../../jobs/probe/probe.js");
  return role === undefined ? probeFolder(folder, signal) : probeWith(folder, role, signal);
}
