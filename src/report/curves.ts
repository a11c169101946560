// metrics.jsonl of a run, thinned to what a chart can show. A line that a killed process left unfinished is skipped.

import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { parseMetricsLine } from "../checkpoints/runs/metrics-line";
import { metricsFile, type StoredRun } from "../checkpoints/runs/run-folder";

export interface Curve {
  readonly run: StoredRun;
  /** Mean loss of neighbouring log lines, at the last one's step. */
  readonly loss: readonly { readonly step: number; readonly loss: number }[];
  /** The task's metric after each epoch, from 1. */
  readonly dev: readonly { readonly epoch: number; readonly score: number | null }[];
}

/** Most points of a line: more than a panel has room for say nothing more. */
const MOST_POINTS = 60;

export async function readCurve(run: StoredRun, metric: string): Promise<Curve> {
  const file = metricsFile(run.folder);
  const texts = existsSync(file) ? (await readFile(file, "utf8")).split("\n") : [];
  const lines = texts.flatMap((text) => parseMetricsLine(text) ?? []);
  const losses = lines.flatMap(({ step, loss }) => (loss === undefined ? [] : [{ step, loss }]));
  const dev = lines.flatMap(({ epoch, dev }) =>
    epoch !== undefined && dev ? [{ epoch: epoch + 1, score: dev[metric] ?? null }] : [],
  );
  return { run, loss: thin(losses), dev };
}

function thin(losses: readonly { step: number; loss: number }[]) {
  const size = Math.ceil(losses.length / MOST_POINTS);
  const thinned: { step: number; loss: number }[] = [];
  for (let at = 0; at < losses.length; at += size) {
    const part = losses.slice(at, at + size);
    const loss = part.reduce((sum, line) => sum + line.loss, 0) / part.length;
    thinned.push({ step: (part.at(-1) as { step: number }).step, loss });
  }
  return thinned;
}
