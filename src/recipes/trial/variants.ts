// From a variant that a recipe names to a trial with its place, id and folder.

import type { StoredRun } from "../../checkpoints/runs/run-folder";
import { IMPORTED } from "../../checkpoints/runs/run-record";
import { modelError } from "../../errors/errors";
import { canonicalJson } from "../../files/hash";
import { counted } from "../../messages/words";
import { isSmaller, kOf, ownLayers, type Place, type PlaceRequest } from "../../model/place";
import type { Task } from "../../tasks/task";
import type { TrialSettings, Variant } from "../recipe";
import { readTransfer, type TransferPlaces, type TransferRequest, type TransferTexts } from "./transfer";
import { describeTrial, referenceTo, type SweepTrial } from "./trial";

/** What the trials of a sweep have in common. */
export interface SweepSettings extends Pick<TrialSettings, "recipe" | "task" | "base" | "training" | "data"> {
  /** Of what makes students: the finished run that teaches them. */
  readonly teacher: StoredRun | null;
  /** The teacher's other seeds. */
  readonly seedsOfTeacher?: readonly StoredRun[];
  /** By {@link transferKey}, what the variants' requests mean for the task. */
  readonly transfers?: ReadonlyMap<string, TransferTexts>;
}

/** Whether there is anything to train: {@link whyNot}. */
export const isNeeded = (variant: Variant, teacher: StoredRun | null): boolean => whyNot(variant, teacher) === null;

/**
 * Why a student is not made: its teacher is no larger, so that the task keeps it, or lacks the layers that it would begin
 * as. null where there is something to train.
 */
export function whyNot(variant: Variant, teacher: StoredRun | null): string | null {
  if (teacher === null) return null;
  const { layers: own, fork } = teacher.record;
  const place = placeOn(variant, teacher);
  const { layers } = place;
  if (!isSmaller(place, teacher.record)) {
    if (place.fork === null) {
      const [, top] = ownLayers(teacher.record);
      return `its teacher has ${counted(top, "layer")} in all, no more than a whole student of ${layers}: it keeps its teacher`;
    }
    const above = place.fork === fork ? ["", ""] : [` above fork ${fork}`, ` above fork ${place.fork}`];
    return `its teacher has ${own} layers${above[0]}, no more than a student of ${layers}${above[1]}: it keeps its teacher`;
  }
  if (!variant.initLayers || layers <= own || place.fork === null) return null;
  return (
    `its teacher has ${counted(own, "layer")}, too few for a student of ${layers} to begin as its ${variant.initLayers}: ` +
    "none is made"
  );
}

/**
 * One variant with one seed; a student is known by its teacher. Above its teacher's fork the layers at its own depth are
 * the teacher's bottom ones: that start has one name.
 */
export function sweepTrial(
  { teacher, seedsOfTeacher = [], transfers, ...common }: SweepSettings,
  { initLayers, transfer: texts, ...variant }: Variant,
  seed: number,
  checkpoints: string,
): SweepTrial {
  const place = placeOn(variant, teacher);
  const ofTeacher = teacher !== null && place.fork !== null && place.fork === teacher.record.fork;
  const asked: PlaceRequest = ofTeacher ? { ...place, fork: "teacher" } : place;
  const named = initLayers && !(ofTeacher && initLayers === "bottom") ? { initLayers } : {};
  const transfer = texts && transfers?.get(transferKey(texts));
  if (texts && !transfer) throw new Error("the transfer set of a variant was not read");
  const settings: TrialSettings = {
    ...{ ...common, ...variant, ...named, place, asked, seed },
    ...(transfer ? { transfer } : {}),
    ...(teacher ? { teacher: referenceTo(teacher), ...taughtBy(variant, teacher, seedsOfTeacher) } : {}),
  };
  return { settings, trial: describeTrial(settings, checkpoints) };
}

function placeOn({ place: { fork, layers } }: Pick<Variant, "place">, teacher: StoredRun | null): Place {
  if (fork !== "teacher") return { fork, layers };
  if (!teacher) throw new Error("a place on the teacher's fork was asked for without a teacher");
  if (teacher.record.fork !== null) return { fork: teacher.record.fork, layers };
  throw modelError(
    `the teacher ${teacher.folder} trained its embeddings (k = full): it shares no trunk, and no student stands on its ` +
      "fork. Give --student-forks such as 2-4, or fine-tune with a --k",
  );
}

/** The teacher and as many of its other seeds as a variant asks for. Throws modelError (4) where there are fewer. */
function taughtBy({ teachers = 1 }: Variant, teacher: StoredRun, others: readonly StoredRun[]) {
  if (teachers === 1) return {};
  const { task, method } = teacher.record;
  if (others.length + 1 < teachers) {
    if (method === IMPORTED) {
      throw modelError(
        `--teachers ${teachers}: the teacher of ${task} was imported, and has no other seeds. Leave it out`,
      );
    }
    const seeds = others.length === 0 ? "one seed" : `${others.length + 1} seeds`;
    throw modelError(
      `--teachers ${teachers}: ${task} has ${seeds} of its teacher ${teacher.folder}. ` +
        `Run: flexbert ${method} --task ${task} --k ${kOf(teacher.record)} --seeds ${teachers}, with its other options`,
    );
  }
  return { taughtBy: [teacher, ...others.slice(0, teachers - 1)] };
}

/** What tells requests of one task apart. */
export const transferKey = (request: TransferRequest): string => canonicalJson(request);

/** What each of the variants asks for. */
export async function readTransfers(
  variants: readonly Pick<Variant, "transfer">[],
  task: Task,
  places: TransferPlaces,
  data: Parameters<typeof readTransfer>[3],
): Promise<ReadonlyMap<string, TransferTexts>> {
  const found = new Map<string, TransferTexts>();
  for (const { transfer } of variants) {
    if (!transfer || found.has(transferKey(transfer))) continue;
    found.set(transferKey(transfer), await readTransfer(transfer, task, places, data));
  }
  return found;
}
