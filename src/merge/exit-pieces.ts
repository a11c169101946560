// The graphs by which texts leave a merged model early, beside those of its whole pieces: the trunk cut at every task's stops too, each
// such task's own layers between its stops, and its ramps. Small files over the blobs that are there; what the version before has
// over the same blobs is taken from it.

import { existsSync } from "node:fs";
import path from "node:path";
import { rampGraph, restGraph, stretchGraph, type Weights } from "../export/pieces/piece-graph";
import { canonicalJson } from "../files/hash";
import type { EncoderConfig } from "../model/config";
import { stretchTensors } from "../model/parameters";
import { ownLayers } from "../model/place";
import { isRampOf } from "../model/ramp-names";
import { type Stretch, stretchesOf } from "../model/stretches";
import type { Blob, Manifest, MergedTask } from "./folder/manifest";
import {
  type ExitPieces,
  exitCuts,
  type Pieces,
  type StretchGraph,
  stopsOf,
  type TaskExitPieces,
} from "./folder/pieces";

type Contents = Pick<Manifest, "embeddings" | "trunk" | "tasks">;

export interface ExitPiecesRequest {
  readonly out: string;
  readonly contents: Contents;
  readonly config: EncoderConfig;
  /** The stretches of the whole pieces: those between the same layers are the same. */
  readonly stretches: readonly StretchGraph[];
  /** The version before, and its graphs of this kind. */
  readonly before: { readonly contents: Contents; readonly pieces: Pieces } | null;
  /** The graph of a stretch of the trunk. */
  readonly stretch: (stretch: Stretch) => Promise<Blob>;
  /** Where a task's own weights lie, and those that its layers share. */
  readonly weightsOf: (task: MergedTask) => Promise<Weights>;
  readonly rampsOf: (ramps: Blob) => Promise<Weights>;
  readonly write: (name: string, chunks: readonly Uint8Array[]) => Promise<Blob>;
}

/** undefined where no task has ramps. */
export async function writeExitPieces(request: ExitPiecesRequest): Promise<ExitPieces | undefined> {
  const { contents, stretches: whole, stretch: graphOf } = request;
  const able = contents.tasks.filter(({ exits }) => exits);
  if (able.length === 0) return undefined;
  const stretches: StretchGraph[] = [];
  for (const stretch of stretchesOf(exitCuts(contents.tasks))) {
    const same = (one: Stretch) => one.from === stretch.from && one.to === stretch.to && one.bottom === stretch.bottom;
    const { file, sha256 } = whole.find(same) ?? (await graphOf(stretch));
    stretches.push({ ...stretch, file, sha256 });
  }
  const tasks: Record<string, TaskExitPieces> = {};
  for (const task of able) tasks[task.name] = kept(task, request) ?? (await writeTask(task, request));
  return { stretches, tasks };
}

/** Of the version before, where the task's branch, ramps and stops are the same, and its files are there. */
function kept(task: MergedTask, { out, before }: ExitPiecesRequest): TaskExitPieces | null {
  const old = before?.contents.tasks.find(({ name }) => name === task.name);
  const found = before?.pieces.exits?.tasks[task.name];
  const decided = ({ sha256, fork, layers, kind, exits }: MergedTask) =>
    canonicalJson({ sha256, fork, layers, kind: kind.name, ramps: exits?.ramps.sha256 ?? null, stops: stopsOf(exits) });
  if (!old || !found || decided(old) !== decided(task)) return null;
  const files = [...found.parts, found.rest, ...Object.values(found.ramps)].flatMap((blob) => blob?.file ?? []);
  return files.every((file) => existsSync(path.join(out, file))) ? found : null;
}

async function writeTask(
  task: MergedTask,
  { config, weightsOf, rampsOf, write }: ExitPiecesRequest,
): Promise<TaskExitPieces> {
  const { name, fork, exits } = task;
  const [from, top] = ownLayers(task);
  const head = await task.kind.head(config);
  const stops = stopsOf(exits);
  const inside = stops.filter((stop) => stop > from && stop < top);
  const weights = inside.length > 0 ? Object.fromEntries(await weightsOf(task)) : {};
  const parts: StretchGraph[] = [];
  for (const [i, to] of inside.entries()) {
    const stretch = { from: inside[i - 1] ?? from, to, bottom: fork === null && i === 0 };
    const own = new Map(Object.entries(stretchTensors(weights, stretch)));
    parts.push({ ...stretch, ...(await write(`${name}-${stretch.from}-${to}`, stretchGraph(config, stretch, own))) });
  }
  const last = inside.at(-1);
  const rest =
    last === undefined ? null : await write(`${name}-${last}-${top}`, restGraph(config, last, top, head, weights));
  const ofRamps = Object.entries(exits ? Object.fromEntries(await rampsOf(exits.ramps)) : {});
  const ramps: Record<string, Blob> = {};
  for (const stop of stops) {
    const own = new Map(ofRamps.filter(([tensor]) => isRampOf(tensor, stop)));
    ramps[stop] = await write(`${name}-ramp-${stop}`, rampGraph(config, stop, head, own));
  }
  return { parts, rest, ramps };
}
