// The versions of a merged folder: listed, compared, named, gone back to, and removed.

import type { VersionDifference } from "../../merge/history/diff";
import type { Collected } from "../../merge/history/gc";
import type { HistoryEntry, Tagged } from "../../merge/history/rollback";
import { type Given, readGiven } from "../../options/given";
import { option, toggle } from "../../options/option";
import { duration, integer } from "../../options/readers";
import { mergedOption } from "../../settings/model";
import { type Caller, callOf } from "../caller";
import { noteOption, tellConverted } from "./merge";

export const historyOptions = mergedOption;
export const rollbackOptions = { ...mergedOption, ...noteOption };
export const tagOptions = {
  ...mergedOption,
  delete: toggle({ flag: "--delete", help: "take the tag away", inConfig: false }),
};
export const gcOptions = {
  ...mergedOption,
  keep: option(integer({ min: 0 }), {
    flag: "--keep",
    value: "<n>",
    help: "how many versions stay that were current last",
    fallback: 10,
  }),
  olderThan: option(duration, {
    flag: "--older-than",
    value: "<time>",
    help: "versions that were current within this time stay: 90s, 30m, 1h, 7d",
    fallback: "1h",
  }),
};

/** Names a version by hash, its beginning, or tag. */
interface Versioned {
  readonly version?: string | undefined;
}

export type HistoryOptions = Given<typeof historyOptions>;
export type RollbackOptions = Given<typeof rollbackOptions> & Versioned;
export type TagOptions = Given<typeof tagOptions> & Versioned & { readonly tag: string };
export type DiffOptions = Given<typeof historyOptions> & {
  readonly from: string;
  /** The current one by default. */
  readonly to?: string | undefined;
};
export type GcOptions = Given<typeof gcOptions>;

/** Every change of the folder, oldest first. Throws UserError (4) where it is no merged folder. */
export async function history(options: HistoryOptions = {}): Promise<HistoryEntry[]> {
  const { merged } = readGiven(historyOptions, options);
  const { historyOf } = await import("../../merge/history/rollback.js");
  return historyOf(merged);
}

/** How two versions differ. Throws UserError (4) for a version that is not there. */
export async function diffVersions({ from, to, ...options }: DiffOptions): Promise<VersionDifference> {
  const { merged } = readGiven(historyOptions, options);
  const { readVersion } = await import("../../merge/folder/version.js");
  const { differenceOf } = await import("../../merge/history/diff.js");
  return differenceOf(await readVersion(merged, { version: from }), await readVersion(merged, { version: to }));
}

export interface RollbackResult {
  readonly version: string;
  readonly from: string;
  readonly tasks: readonly string[];
}

/** Makes another version the current one: the one before by default. Throws UserError (4) where there is none. */
export async function rollback(
  { version, ...options }: RollbackOptions = {},
  caller: Caller = {},
): Promise<RollbackResult> {
  const call = callOf(caller);
  const { merged, note } = readGiven(rollbackOptions, options);
  const { rollBack } = await import("../../merge/history/rollback.js");
  const { id, from, manifest, moved, converted, graphIsMissing } = await rollBack(merged, version, { note });
  tellConverted(converted, merged, call);
  if (!moved) call.reporter.log(`${merged}: version ${id} is the current one already`);
  if (graphIsMissing) {
    call.reporter.warn(`${merged}: the model.onnx of version ${id} is no longer there. Run: flexbert export onnx`);
  }
  return { version: id, from, tasks: manifest.tasks.map(({ name }) => name) };
}

/** Gives a version a name, which another may have had: the current one by default. */
export async function tag({ tag, version, ...options }: TagOptions, caller: Caller = {}): Promise<Tagged> {
  const call = callOf(caller);
  const { merged, delete: takeAway } = readGiven(tagOptions, options);
  const { tagVersion } = await import("../../merge/history/rollback.js");
  const tagged = await tagVersion(merged, tag, takeAway ? null : version);
  tellConverted(tagged.converted, merged, call);
  return tagged;
}

/** What {@link gc} would remove. */
export async function planGc(options: GcOptions = {}): Promise<Collected> {
  const { merged, ...rules } = readGiven(gcOptions, options);
  const collecting = await import("../../merge/history/gc.js");
  return collecting.planGc(merged, rules);
}

/** Removes old versions, and what no version names any more. */
export async function gc(options: GcOptions = {}): Promise<Collected> {
  const { merged, ...rules } = readGiven(gcOptions, options);
  const { collectGarbage } = await import("../../merge/history/gc.js");
  return collectGarbage(merged, rules);
}
