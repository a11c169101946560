// select's cost model: read from --latency FILE, or timed on this engine with --measure.

import { usageError } from "../../errors/errors";
import { mostTokens } from "../../model/families/families";
import type { LatencyModel } from "../../selection/latency";
import { formatMs } from "../../selection/rule";
import type { Call } from "../caller";
import { type EngineValues, openBaseOf, openSession } from "../session";
import type { CandidatePool } from "./candidates";

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
  call: Call,
): Promise<LatencyModel> {
  if (values.measure) return measure(values, call);
  const { readLatency } = await import("../../selection/latency.js");
  const file = values.latency as string;
  const model = await readLatency(file);
  const { measured } = model;
  if (measured && pool.base && measured.baseSha256 !== pool.base.sha256) {
    throw usageError(
      `--latency ${file} was measured on the base ${measured.base}, the candidates are of ${pool.base.name}. ` +
        `Run: flexbert select --measure --base ${pool.base.name} --latency FILE`,
    );
  }
  call.reporter.log(`${file}: ${describe(model)}`);
  return model;
}

/** Times layers on this engine, and writes --latency FILE where it is given. */
export async function measure(values: LatencyValues, call: Call): Promise<LatencyModel> {
  const base = await openBaseOf(values, call);
  const most = mostTokens(base.config);
  const { batchSize = MEASURED.batchSize, length = Math.min(MEASURED.length, most) } = values;
  if (length > most) throw usageError(`--length ${length}: the base ${base.name} takes at most ${most}`);
  const { engine, signal, close } = await openSession(values, call);
  const { measureLatency, measuredRounds } = await import("../../predict/layer-latency.js");
  const progress = call.reporter.progress("measuring", measuredRounds);
  const onRound = () => progress.advance(1);
  const model = await measureLatency(engine, base, { batchSize, length, signal, onRound }).finally(() => {
    progress.end();
    close();
  });
  call.reporter.log(`measured ${describe(model)}`);
  if (values.latency !== undefined) {
    const { writeLatency } = await import("../../selection/latency.js");
    await writeLatency(values.latency, model);
    call.reporter.log(`written to ${values.latency}`);
  }
  return model;
}

function describe({ sharedLayerMs, branchLayerMs, measured }: LatencyModel): string {
  const layers = `${formatMs(sharedLayerMs)} ms a shared layer, ${formatMs(branchLayerMs)} ms a branch layer`;
  if (!measured) return layers;
  return `${layers}, for ${measured.batchSize} x ${measured.length} tokens on ${measured.engine}`;
}
