// What a merged folder holds: figures, and a picture for the terminal, a page or a README.

import { existsSync, statSync } from "node:fs";
import path from "node:path";
import { usageError } from "../errors/errors";
import type { ModelOutline } from "../merge/picture/outline";
import { mostTokens } from "../model/families/families";
import { type Given, readGiven } from "../options/given";
import { option, optional, toggle, type Values } from "../options/option";
import { integer, text } from "../options/readers";
import type { TaskLatency } from "../predict/task-latency";
import { engineOptions } from "../settings/engine";
import { modelFolder, versionOption } from "../settings/model";
import { type Call, type Caller, callOf } from "./caller";

export const inspectOptions = {
  model: option(text, { ...modelFolder("--model"), help: "the merged folder", fallback: "merged" }),
  ...versionOption,
  out: optional(text, {
    flag: "--out",
    short: "-o",
    value: "<file>",
    help: "write the picture: .svg, or .html with the table",
  }),
  measure: toggle({ flag: "--measure", help: "time each task, and all, on this engine", inConfig: false }),
  batchSize: option(integer({ min: 1, max: 4096 }), {
    flag: "--batch-size",
    value: "<rows>",
    help: "rows of the batch that --measure times",
    fallback: 1,
  }),
  length: option(integer({ min: 2, max: 4096 }), {
    flag: "--length",
    value: "<tokens>",
    help: "length of the rows that --measure times",
    fallback: 64,
  }),
  ...engineOptions,
};

export type InspectOptions = Given<typeof inspectOptions>;

export interface Inspection extends ModelOutline {
  readonly folder: string;
  /** The first digits of its manifest's hash. */
  readonly version: string;
  readonly tags: readonly string[];
  /** How many versions of the folder are there. */
  readonly versions: number;
  /** Milliseconds, where they were measured. */
  readonly latency: (TaskLatency & { readonly engine: string }) | null;
  /** The picture in characters. */
  readonly picture: string;
}

/**
 * Describes a merged folder, and writes its picture where `out` names a file.
 * Throws UserError (2) for a file that is neither .svg nor .html, (4) for no merged folder, (6) for an engine that is absent.
 */
export async function inspect(options: InspectOptions = {}, caller: Caller = {}): Promise<Inspection> {
  const call = callOf(caller);
  const values = readGiven(inspectOptions, options);
  const { model: folder, out } = values;
  const kind = out === undefined ? null : path.extname(out).toLowerCase();
  if (kind !== null && kind !== ".svg" && kind !== ".html") {
    throw usageError(`--out ${out}: a picture is written as .svg or as .html. Name such a file`);
  }
  const { readVersion } = await import("../merge/folder/version.js");
  const { readShared } = await import("../merge/folder/blobs.js");
  const { outlineModel } = await import("../merge/picture/outline.js");
  const { textPicture } = await import("../merge/picture/text.js");
  const { id: version, manifest } = await readVersion(folder, { version: values.version });
  const { config } = await readShared(folder, manifest);
  const { tags, versions } = await placeInHistory(folder, version);
  const sizeOf = (file: string) => {
    const blob = path.join(folder, file);
    return existsSync(blob) ? statSync(blob).size : null;
  };
  const outline = outlineModel(manifest, config, sizeOf);
  const latency = values.measure ? await measure({ ...values, version }, call) : null;
  const note = noteOf(latency);
  if (out !== undefined) {
    const { writeFileAtomic } = await import("../files/atomic.js");
    const { svgPicture } = await import("../merge/picture/svg.js");
    const svg = svgPicture(outline, note);
    const { htmlPicture } = await import("../merge/picture/html.js");
    await writeFileAtomic(out, kind === ".svg" ? svg : htmlPicture(outline, svg, latency?.tasks ?? null));
  }
  return { folder, version, tags, versions, ...outline, latency, picture: textPicture(outline, note) };
}

async function placeInHistory(folder: string, version: string) {
  const { readState, tagsOf } = await import("../merge/folder/pointer.js");
  const { versionsIn } = await import("../merge/folder/resolve.js");
  const state = await readState(folder);
  const there = await versionsIn(folder, state);
  const logged = new Set(state.pointer.log.map((entry) => entry.version));
  return { tags: tagsOf(state.pointer, version), versions: there.filter((id) => logged.has(id)).length };
}

/** ", 12.3 ms" behind a task's name. */
const noteOf = (latency: TaskLatency | null) => (task: string) => {
  const ms = latency?.tasks[task];
  return ms === undefined ? "" : `, ${ms.toFixed(1)} ms`;
};

async function measure(values: Values<typeof inspectOptions>, call: Call) {
  const { openServedModel } = await import("./served-model.js");
  const { latencyRounds, measureTasks } = await import("../predict/task-latency.js");
  const opened = await openServedModel({ ...values, tasks: undefined, base: undefined }, undefined, call);
  const { model, session } = opened;
  try {
    const { batchSize, length } = values;
    const most = mostTokens(model.config);
    if (length > most) throw usageError(`--length ${length}: the model takes at most ${most}`);
    const progress = call.reporter.progress("measuring", latencyRounds);
    const onRound = () => progress.advance(1);
    const measured = await measureTasks(model, { batchSize, length, signal: session.signal, onRound }).finally(() =>
      progress.end(),
    );
    return { ...measured, engine: session.engine.summary };
  } finally {
    model.dispose();
    session.close();
  }
}
