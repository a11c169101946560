// Metrics to an MLflow server: an MLflow run for each run folder, sent in the background while it trains. What fails is
// kept and sent again; what never arrives is said, and costs nothing else: metrics.jsonl has everything.

import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { type RunRecord, readRecord } from "../../checkpoints/runs/run-folder";
import { writeFileAtomic } from "../../files/atomic";
import { parseJson } from "../../files/json";
import type { Reporter } from "../../messages/reporter";
import { MlflowRefusal, type MlflowServer, openMlflow } from "./mlflow-server";
import type { TrackedRun, TrackedSession, TrackedStatus, Tracker } from "./tracker";

/** Most metrics of one log-batch, by the API. */
const BATCH = 1000;
/** Milliseconds between two batches. */
const SEND_EVERY = 2000;

/** Holds MLflow's id of a run, so that a resumed run goes on in it. */
const MLFLOW_FILE = "mlflow.json";

interface Metric {
  readonly key: string;
  readonly value: number;
  readonly timestamp: number;
  readonly step: number;
}

/** @param uri what parseMlflowUri returned */
export function mlflowTracker(uri: URL, { warn }: Pick<Reporter, "warn">): Tracker {
  const server = openMlflow(uri);
  let absent = false; // nothing of a whole run arrived: later runs do not wait for the server
  return {
    async begin(run) {
      if (absent) return { log: async () => undefined, end: async () => undefined };
      return beginSession(server, run, warn, () => {
        absent = true;
        warn(`MLflow at ${server.address} is left alone from here on: nothing of ${run.label} reached it`);
      });
    },
  };
}

function beginSession(
  server: MlflowServer,
  run: TrackedRun,
  warn: Reporter["warn"],
  onAbsent: () => void,
): TrackedSession {
  let waiting: Metric[] = [];
  let runId: string | null = null;
  let failed = false;
  let lastSent = 0;

  const deliver = async () => {
    lastSent = Date.now();
    try {
      runId ??= await openRun(server, run);
      while (waiting.length > 0) {
        const batch = waiting.slice(0, BATCH);
        await server.post("runs/log-batch", { run_id: runId, metrics: batch });
        waiting = waiting.slice(batch.length);
      }
    } catch (error) {
      if (!failed) {
        const { message, code } = error as NodeJS.ErrnoException; // several addresses refused: a code alone
        warn(`MLflow at ${server.address}: ${message || code}. ${run.label} trains on without it`);
      }
      failed = true;
    }
  };
  let delivery = deliver(); // one at a time
  return {
    async log(step, values) {
      const timestamp = Date.now();
      for (const [key, value] of Object.entries(values)) {
        if (value !== null && Number.isFinite(value)) waiting.push({ key, value, timestamp, step });
      }
      if (timestamp - lastSent >= SEND_EVERY) {
        lastSent = timestamp;
        delivery = delivery.then(deliver);
      }
    },
    async end(status) {
      await delivery;
      await deliver();
      if (runId === null) return onAbsent();
      if (waiting.length > 0) {
        warn(`${waiting.length} values of ${run.label} did not reach MLflow; metrics.jsonl has them`);
      }
      await server.post("runs/update", { run_id: runId, ...ended(status) }).catch((error) => {
        warn(`MLflow at ${server.address} still takes ${run.label} for running: ${(error as Error).message}`);
      });
    },
  };
}

function ended(status: TrackedStatus) {
  const names = { finished: "FINISHED", failed: "FAILED", stopped: "KILLED" } as const;
  return { status: names[status], end_time: Date.now() };
}

/** The MLflow run of an earlier process that trained this run, else a new one. */
async function openRun(server: MlflowServer, run: TrackedRun): Promise<string> {
  const file = path.join(run.folder, MLFLOW_FILE);
  const before = run.step > 0 ? await readRunId(file, server) : null;
  if (before !== null) {
    try {
      await server.post("runs/update", { run_id: before, status: "RUNNING" });
      return before;
    } catch (error) {
      if (!(error instanceof MlflowRefusal && error.code === "RESOURCE_DOES_NOT_EXIST")) throw error;
    }
  }
  const experiment_id = await server.experimentId();
  const record = await readRecord(run.folder);
  const answer = await server.post("runs/create", {
    experiment_id,
    run_name: path.basename(run.folder),
    start_time: Date.now(),
    ...(record ? { tags: tagsOf(record) } : {}),
  });
  const { info } = (answer["run"] ?? {}) as { info?: { run_id?: unknown } };
  if (typeof info?.run_id !== "string") throw new MlflowRefusal(200, "runs/create", { message: "without a run_id" });
  const runId = info.run_id;
  if (record) await server.post("runs/log-batch", { run_id: runId, params: paramsOf(record) });
  await writeFileAtomic(file, `${JSON.stringify({ address: server.address, run_id: runId }, null, 2)}\n`);
  return runId;
}

async function readRunId(file: string, { address }: MlflowServer): Promise<string | null> {
  if (!existsSync(file)) return null;
  try {
    const found = parseJson(await readFile(file, "utf8")) as { address?: unknown; run_id?: unknown };
    return found.address === address && typeof found.run_id === "string" ? found.run_id : null;
  } catch {
    return null; // damaged: the run goes on in a new one
  }
}

function tagsOf({ id, task, method, base }: RunRecord) {
  const tags = { "flexbert.id": id, "flexbert.task": task, "flexbert.method": method, "flexbert.base": base.name };
  return Object.entries(tags).map(([key, value]) => ({ key, value }));
}

function paramsOf({ task, method, base, layers, full, fork, seed, init, teacher, options }: RunRecord) {
  const params = { task, method, base: base.name, layers, full, fork, seed, init, teacher: teacher?.id, ...options };
  const given = Object.entries(params).filter(([, value]) => value !== undefined && value !== null);
  return given.map(([key, value]) => ({ key, value: String(value) }));
}
