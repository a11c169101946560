// Models that several tasks train together (MT-DNN), as rows of the report on the base that they were trained from: their tasks' heads,
// and heads of tasks that were left out, over the frozen model.

import { listRuns, methodFolder, type RunRecord, type StoredRun } from "../checkpoints/runs/run-folder";
import { JOINT } from "../checkpoints/runs/run-record";
import { subfolders } from "../files/folder";
import { canonicalJson } from "../files/hash";
import { finetune } from "../recipes/finetune";
import { jointRecord } from "../recipes/stored-runs";
import { groupBy } from "../selection/group-by";
import { bestRun } from "../selection/teacher";
import { type Arm, armOf } from "./arms";
import type { TaskResults } from "./collect";

/** A task's runs of no layers over a joint model. */
export interface JointArm {
  readonly arm: Arm;
  /** Seconds of the model under them, where it was not trained on the task. */
  readonly before: number;
}

export interface JointArms {
  /** By task: the head of the model that most tasks trained. */
  readonly full: ReadonlyMap<string, JointArm>;
  /** By task: a head over a model that other tasks trained. */
  readonly leftOut: ReadonlyMap<string, JointArm>;
}

interface Head {
  readonly task: string;
  readonly run: StoredRun;
  readonly joint: RunRecord;
  readonly members: readonly string[];
}

/** Of the tasks whose heads were scored on the rows of their other runs. */
export async function readJointArms(checkpoints: string, tasks: readonly TaskResults[]): Promise<JointArms> {
  const heads: Head[] = [];
  const [first] = tasks;
  for (const name of first ? await subfolders(checkpoints) : []) {
    const joint = await jointRecord(checkpoints, name);
    if (joint?.base.sha256 !== first?.base.sha256 || !joint) continue;
    const members = (joint.options["tasks"] ?? []) as readonly string[];
    for (const { name: task, runs: own } of tasks) {
      const runs = await listRuns(methodFolder(checkpoints, name, task, finetune.method));
      const scored = own[0]?.record.devData.sha256;
      const comparable = runs.filter(
        ({ record }) => record.state === "finished" && record.layers === 0 && record.devData.sha256 === scored,
      );
      heads.push(...comparable.map((run) => ({ task, run, joint, members })));
    }
  }
  const isTrainedOn = ({ task, members }: Head) => members.includes(task);
  return {
    full: fullArms(heads.filter((head) => isTrainedOn(head) && head.run.record.method === JOINT)),
    leftOut: leftOutArms(heads.filter((head) => !isTrainedOn(head))),
  };
}

/** All tasks from one setting, of any seed: of those that most tasks trained, the one with the best average. */
function fullArms(heads: readonly Head[]): JointArms["full"] {
  const groups = [...groupBy(heads, ({ joint }) => canonicalJson(joint.options)).values()];
  const best = (group: readonly Head[]) =>
    bestRun(group.map(({ joint: record }) => ({ folder: "", record }))).record.score;
  const covered = (group: readonly Head[]) => new Set(group.map(({ task }) => task)).size;
  const [chosen = []] = groups.sort((a, b) => covered(b) - covered(a) || (best(b) ?? 0) - (best(a) ?? 0));
  const byTask = groupBy(chosen, ({ task }) => task);
  return new Map([...byTask].map(([task, own]) => [task, { arm: armOf(own.map(({ run }) => run)), before: 0 }]));
}

/** Each task over the model that most others trained. */
function leftOutArms(heads: readonly Head[]): JointArms["leftOut"] {
  const byTask = groupBy(heads, ({ task }) => task);
  return new Map(
    [...byTask].map(([task, own]) => {
      const most = Math.max(...own.map(({ members }) => members.length));
      const candidates = own.filter(({ members }) => members.length === most);
      const arm = armOf(candidates.map(({ run }) => run));
      const under = candidates.find(({ run }) => run === arm.best) as Head;
      return [task, { arm, before: under.joint.seconds }];
    }),
  );
}
