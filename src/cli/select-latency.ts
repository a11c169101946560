// select's cost model: read from --latency FILE, or timed on this engine with --measure.

import { usageError } from "../errors/errors";
import type { LatencyModel } from "../selection/latency";
import { formatMs } from "../selection/rule";
import type { CandidatePool } from "./select-candidates";
import { type EngineValues, openBaseOf, openSession } from "./session";
import { type Terminal, table } from "./terminal";

export interface LatencyValues extends EngineValues {
  readonly base: string;
  readonly latency: string | undefined;
  readonly measure: boolean;
  readonly batchSize: number | undefined;
  readonly length: number | undefined;
}

/** The batch that --measure times where nothing else is said: one row, as serving mostly sees. */
export const MEASURED = { batchSize: 1, length: 128 } as const;

/** The model for --max-latency. Throws usageError (2) for one that was measured on another base than the candidates'. */
export async function findLatency(
  values: LatencyValues,
  pool: Pick<CandidatePool, "base">,
  terminal: Terminal,
): Promise<LatencyModel> {
  if (values.measure) return measure(values, terminal);
  const { readLatency } = await import("../selection/latency.js");
  const file = values.latency as string;
  const model = await readLatency(file);
  const { measured } = model;
  if (measured && pool.base && measured.baseSha256 !== pool.base.sha256) {
    throw usageError(
      `--latency ${file} was measured on the base ${measured.base}, the candidates are of ${pool.base.name}. ` +
        `Run: flexbert select --measure --base ${pool.base.name} --latency FILE`,
    );
  }
  terminal.reporter.log(`${file}: ${describe(model)}`);
  return model;
}

/** Times layers on this engine, and writes --latency FILE where it is given. */
export async function measure(values: LatencyValues, terminal: Terminal): Promise<LatencyModel> {
  const base = await openBaseOf(values, terminal);
  const most = base.config.maxPositionEmbeddings;
  const { batchSize = MEASURED.batchSize, length = Math.min(MEASURED.length, most) } = values;
  if (length > most) throw usageError(`--length ${length}: the base ${base.name} takes at most ${most}`);
  const { engine, signal } = await openSession(values, terminal);
  const { measureLatency, measuredRounds } = await import("../predict/layer-latency.js");
  const progress = terminal.reporter.progress("measuring", measuredRounds);
  const onRound = () => progress.advance(1);
  const model = await measureLatency(engine, base, { batchSize, length, signal, onRound }).finally(() =>
    progress.end(),
  );
  terminal.reporter.log(`measured ${describe(model)}`);
  if (values.latency !== undefined) {
    const { writeLatency } = await import("../selection/latency.js");
    await writeLatency(values.latency, model);
    terminal.reporter.log(`written to ${values.latency}`);
  }
  return model;
}

function describe({ sharedLayerMs, branchLayerMs, measured }: LatencyModel): string {
  const layers = `${formatMs(sharedLayerMs)} ms a shared layer, ${formatMs(branchLayerMs)} ms a branch layer`;
  if (!measured) return layers;
  return `${layers}, for ${measured.batchSize} x ${measured.length} tokens on ${measured.engine}`;
}

export function printLatency(model: LatencyModel, terminal: Terminal): void {
  if (terminal.json) {
    terminal.printJson(model);
    return;
  }
  const rows = [
    ["a shared layer", formatMs(model.sharedLayerMs)],
    ["a branch layer", formatMs(model.branchLayerMs)],
    ["a task's topmost layer and head", formatMs(model.topLayerMs)],
    ["embeddings and the call", formatMs(model.fixedMs)],
  ];
  terminal.print(table(["part", "ms"], rows));
}
