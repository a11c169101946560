// From a variant that a recipe names to a trial with its place, id and folder.

import type { StoredRun } from "../../checkpoints/runs/run-folder";
import { modelError } from "../../errors/errors";
import { counted } from "../../messages/words";
import { isSmaller, type Place, type PlaceRequest } from "../../model/place";
import type { TrialSettings, Variant } from "../recipe";
import { describeTrial, type SweepTrial } from "./trial";

/** What the trials of a sweep have in common. */
export interface SweepSettings extends Pick<TrialSettings, "recipe" | "task" | "base" | "training" | "data"> {
  /** Of what makes students: the finished run that teaches them. */
  readonly teacher: StoredRun | null;
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
    const above = place.fork === fork ? ["", ""] : [` above fork ${fork}`, ` above fork ${place.fork}`];
    return `its teacher has ${own} layers${above[0]}, no more than a student of ${layers}${above[1]}: it keeps its teacher`;
  }
  if (!variant.initLayers || layers <= own) return null;
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
  { teacher, ...common }: SweepSettings,
  { initLayers, ...variant }: Variant,
  seed: number,
  checkpoints: string,
): SweepTrial {
  const place = placeOn(variant, teacher);
  const ofTeacher = teacher !== null && place.fork === teacher.record.fork;
  const asked: PlaceRequest = ofTeacher ? { ...place, fork: "teacher" } : place;
  const named = initLayers && !(ofTeacher && initLayers === "bottom") ? { initLayers } : {};
  const settings: TrialSettings = {
    ...{ ...common, ...variant, ...named, place, asked, seed },
    ...(teacher ? { teacher: referenceTo(teacher) } : {}),
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

const referenceTo = ({ folder, record: { id, sha256, score } }: StoredRun) => {
  return { id, folder, sha256: sha256 as string, score };
};
