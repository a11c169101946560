// Run folders made by hand: what the report reads, with scores chosen by the test.

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { type RunRecord, writeRecord } from "../../src/checkpoints/runs/run-folder";
import { recorded, settingsFrom } from "../../src/options/settings";
import { trainingSettings } from "../../src/settings/training";

export const base = { name: "owner/tiny", sha256: "b".repeat(64), layers: 6 };

export interface MadeRun {
  readonly task?: string;
  readonly method?: "finetune" | "distill";
  readonly layers: number;
  readonly full?: boolean;
  readonly seed?: number;
  readonly score: number | null;
  readonly metric?: string;
  readonly teacher?: RunRecord;
  /** Of a student on another fork than its teacher's. */
  readonly fork?: number;
  readonly initLayers?: "bottom" | "top" | "spread";
  readonly init?: "teacher" | "pretrained";
  readonly options?: Record<string, unknown>;
  readonly state?: "running" | "finished";
  readonly devSha?: string;
  readonly cost?: NonNullable<RunRecord["cost"]>;
  /** Lines of metrics.jsonl. */
  readonly lines?: readonly string[];
}

const settings = settingsFrom(trainingSettings, { epochs: 2, learning_rate: 1e-4 });

let made = 0;

/** Writes a run folder and returns its record. */
export async function makeRun(checkpoints: string, run: MadeRun): Promise<RunRecord> {
  const { task = "rte", method = "finetune", layers, full = false, seed = 1, score, metric = "accuracy" } = run;
  const { teacher, init = "teacher", state = "finished" } = run;
  const id = (++made).toString(16).padStart(8, "0");
  const record: RunRecord = {
    ...{ format: 1, id, state, method, task, base, layers, full, seed, labels: ["a", "b"], score },
    fork: full ? null : (run.fork ?? teacher?.fork ?? base.layers - layers),
    ...(run.initLayers ? { initLayers: run.initLayers } : {}),
    ...(teacher
      ? { teacher: { id: teacher.id, folder: "", sha256: teacher.sha256 as string, score: teacher.score }, init }
      : {}),
    trainData: { sha256: "7".repeat(64), rows: 100, skipped: 0 },
    devData: { sha256: run.devSha ?? "d".repeat(64), rows: 50, skipped: 0 },
    metrics: { [metric]: score },
    bestEpoch: 1,
    steps: 20,
    options: { ...recorded(trainingSettings, settings), ...run.options },
    sha256: id.repeat(8),
    engine: "wasm",
    threads: 1,
    seconds: 10,
    tokensPerSecond: 1000,
    startedAt: "2026-11-20T00:00:00.000Z",
    ...(run.cost ? { cost: run.cost } : {}),
    // Later ones finish later.
    ...(state === "finished" ? { finishedAt: new Date(1.79e12 + made * 1000).toISOString() } : {}),
  };
  const name =
    method === "finetune" ? `k${full ? "full" : layers}-seed${seed}-${id}` : `l${layers}-${init}-seed${seed}-${id}`;
  const folder = path.join(checkpoints, base.name.replace("/", "--"), task, method, name);
  mkdirSync(folder, { recursive: true });
  await writeRecord(folder, record);
  const lines = run.lines ?? [
    '{"step":10,"epoch":0,"loss":0.7,"learning_rate":1e-4,"grad_norm":1}',
    `{"step":10,"epoch":0,"dev":{"${metric}":${score}}}`,
    '{"step":20,"epoch":1,"loss":0.5,"learning_rate":0,"grad_norm":1}',
    `{"step":20,"epoch":1,"dev":{"${metric}":${score}}}`,
    '{"step":2', // what a killed process left
  ];
  writeFileSync(path.join(folder, "metrics.jsonl"), lines.join("\n"));
  return record;
}

/** A joint model of `tasks` with their heads, and heads of others over it. Scores by task. */
export async function makeJoint(
  checkpoints: string,
  tasks: readonly string[],
  scores: Readonly<Record<string, number>>,
  leftOut: Readonly<Record<string, number>> = {},
): Promise<void> {
  const id = (++made).toString(16).padStart(8, "0");
  const name = `joint-${tasks.join("+")}-seed1-${id}`;
  const own = { name, sha256: id.repeat(8), layers: base.layers };
  const average = Object.values(scores).reduce((sum, score) => sum + score, 0) / tasks.length;
  const common = {
    format: 1,
    state: "finished",
    method: "joint",
    seed: 1,
    bestEpoch: 1,
    steps: 20,
    engine: "wasm",
    threads: 1,
    trainData: { sha256: "7".repeat(64), rows: 100, skipped: 0 },
    devData: { sha256: "d".repeat(64), rows: 50, skipped: 0 },
    sha256: "e".repeat(64),
    tokensPerSecond: 1000,
    startedAt: "2026-11-20T00:00:00.000Z",
  } as const;
  const options = { ...recorded(trainingSettings, settings), mixing: "size", tasks: [...tasks] };
  const whole = { task: tasks.join("+"), base, layers: base.layers, fork: null, full: true, labels: [] };
  const metrics = { metric: "average", metrics: { average }, score: average };
  const folder = path.join(checkpoints, name);
  mkdirSync(folder, { recursive: true });
  await writeRecord(folder, { ...common, ...whole, ...metrics, id, options, seconds: 20 });
  for (const [task, score] of Object.entries({ ...scores, ...leftOut })) {
    const head = (++made).toString(16).padStart(8, "0");
    const method = tasks.includes(task) ? "joint" : "finetune";
    const at = path.join(folder, task, "finetune", `k00-seed1-${head}`);
    mkdirSync(at, { recursive: true });
    await writeRecord(at, {
      ...common,
      ...{ id: head, method, task, base: own, layers: 0, fork: base.layers, full: false, labels: ["a", "b"] },
      ...{ score, metric: "accuracy", metrics: { accuracy: score }, options: recorded(trainingSettings, settings) },
      seconds: 10,
    });
  }
}

/** One run a score, of seeds 1, 2, 3 ... */
export async function makeSeeds(
  checkpoints: string,
  scores: readonly (number | null)[],
  run: Omit<MadeRun, "seed" | "score">,
): Promise<RunRecord[]> {
  const records: RunRecord[] = [];
  for (const [i, score] of scores.entries()) records.push(await makeRun(checkpoints, { ...run, seed: i + 1, score }));
  return records;
}

export const cost = (layerTokens: number): NonNullable<RunRecord["cost"]> => ({
  trainTokens: { own: 900, bucketed: 1000, longest: 2000, maxLength: 4000 },
  devTokens: 500,
  buckets: [8, 16],
  trunk: { layerTokens, seconds: layerTokens / 1000 },
  joules: 3600,
});
