// What a whole student is trained from and towards. A method that compares layers runs the teacher inside each step, because its
// layers' states and scores of all rows would take far more room than its weights; of outputs alone they are computed once.

import type { Scalar, Tensor, Tensor2D } from "@tensorflow/tfjs-core";
import * as tf from "@tensorflow/tfjs-core";
import { usageError } from "../../errors/errors";
import { type BranchInputs, branchOutputs } from "../../model/branch";
import type { EncoderConfig } from "../../model/config";
import type { Tensors } from "../../model/entry-point";
import type { Head } from "../../model/heads";
import { scoped, unscoped } from "../../model/parameters";
import type { Place } from "../../model/place";
import { fromRecorded } from "../../options/settings";
import { headOf } from "../../tasks/task";
import { perStep } from "../../training/loop/batch-inputs";
import { type Loss, reading, rowWeights } from "../../training/step/step";
import { distillationLoss, type Teaching } from "../losses";
import type { TrialSettings, TrialWork } from "../recipe";
import { teaching } from "../teaching-options";
import { studentOfTeacher, wholeBase, wholeTeacher } from "../trial/initial-branch";
import type { OpenTeaching } from "../trial/teaching";
import type { Comparison, LayerMap, Method } from "./method";
import { replacements, replacingLoss } from "./replacing";
import type { Replacing } from "./theseus";

/** A trial with the weights of its base. */
type Trial = TrialSettings & { readonly base: Parameters<typeof wholeBase>[0] };

export async function wholeStudent(trial: Trial, method: Method, taught: OpenTeaching): Promise<TrialWork> {
  const { task, base, place, seed, init, initLayers, options } = trial;
  const { config } = base;
  const parameters = headOf(task, config);
  const teacher = wholeTeacher(base, await taught.teacher(), parameters);
  const begins = init === "teacher" ? teacher : wholeBase(base, parameters, seed);
  const initial = studentOfTeacher(begins, base, place, parameters, initLayers);
  const head = await task.kind.head(config);
  const { alpha, temperature } = fromRecorded(teaching, options);
  const own = options as unknown as OwnOfMethod;
  requireNoPatience(trial, method);
  const counts = { student: place.layers, teacher: teacher.place.layers };
  const beside = { frozen: scoped(TEACHER, teacher.branch) };
  if (method.replaces) {
    const schedule = { stage: own.firstStage as number, schedule: own.replacing, rate: own.replacingRate };
    const loss = replacingLoss({ counts, config, head, teacher: TEACHER });
    return { initial, loss, beside, inputs: replacements(place.layers, seed, schedule) };
  }
  if (!method.layers) {
    const lesson = { taughtBy: undefined, state: null, alpha, alphaEnd: undefined, someUnlabelled: false };
    return { initial, loss: distillationLoss(head, { alpha, temperature }), inputs: await taught.inputs(lesson) };
  }
  const { beta, firstStage, layerMap } = own;
  const compared = {
    comparison: await method.layers.compare(counts, layerMap ?? "skip"),
    ...{ beta, head, config, place: teacher.place, staged: firstStage !== undefined },
  };
  return {
    initial,
    loss: comparedLoss(compared, { alpha, temperature }),
    beside,
    inputs: firstStage === undefined ? {} : { [STAGE]: perStep(inFirst(firstStage)) },
  };
}

/** A method's own options, as `wholeVariants` has them. */
interface OwnOfMethod {
  readonly beta: number;
  readonly firstStage?: number;
  readonly layerMap?: LayerMap;
  readonly replacing: Replacing;
  readonly replacingRate: number;
}

/** Scope of the teacher's tensors beside the student's. */
const TEACHER = "teacher";

/** The step's input that is 1 while layers alone are compared, then 0. */
const STAGE = "first_stage";

/** 1 in the first share of the steps. */
export const inFirst = (share: number) => (step: number, total: number) => (step <= Math.round(share * total) ? 1 : 0);

/** Dev scores of the first stage say nothing: an end after some epochs that bring no better one would be in it. */
function requireNoPatience({ training }: Trial, { name, firstStage }: Method): void {
  if (firstStage === undefined || training.patience === undefined) return;
  throw usageError(
    `--patience ${training.patience}: dev scores of the first stage of ${name} say nothing of its second. Leave it out`,
  );
}

export interface Compared {
  readonly comparison: Comparison;
  /** Weight of the comparison. */
  readonly beta: number;
  /** Whether the step's input says which of the two is learned; else both are. */
  readonly staged: boolean;
  /** Of the task's kind, in both models. */
  readonly head: Head;
  readonly config: EncoderConfig;
  /** Of the whole teacher, whose tensors are beside the branch, scoped. */
  readonly place: Place;
}

/** beta times the comparison of layers, and beside or after it the loss of outputs and labels. */
export function comparedLoss({ comparison, beta, staged, head, config, place }: Compared, teaching: Teaching): Loss {
  const ofOutputs = distillationLoss(head, teaching);
  return reading(comparison.student, (student, inputs, beside) => {
    const tensors = unscoped(TEACHER, beside.frozen) as Readonly<Record<string, Tensor>>;
    const read = inputs as unknown as BranchInputs;
    const teacher = branchOutputs(tensors, read, place, config, comparison.teacher, undefined, head);
    const error = tf.mul(comparison.error(student, teacher, positionsOf(inputs)), beta);
    const outputs = ofOutputs(student, { ...inputs, teacher_logits: teacher.logits }, beside);
    if (!staged) return tf.add(outputs, error);
    const first = inputs[STAGE] as Scalar;
    return tf.add(tf.mul(error, first), tf.mul(outputs, tf.sub(1, first)));
  });
}

function positionsOf(inputs: Tensors) {
  const keys = tf.cast(inputs["attention_mask"] as Tensor2D, "float32");
  return { keys, weights: tf.mul(keys, tf.expandDims(rowWeights(inputs), 1)) as Tensor2D };
}
