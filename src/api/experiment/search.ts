// The trials of an experiment by `search: auto` or `search: halving`: its budget, and its rounds.

import { setTimeout as sleep } from "node:timers/promises";
import { modelError } from "../../errors/errors";
import type { SearchBudget } from "../../experiment/search/budget";
import type { SearchOutcome } from "../../experiment/search/search";
import { formatSeconds } from "../../messages/quantities";
import { Interrupted } from "../../messages/reporter";
import { mostTokens } from "../../model/families/families";
import type { DeviceChoice, EngineChoice } from "../../settings/engine";
import type { Tracker } from "../../training/tracking/tracker";
import type { Call } from "../caller";
import { openSession, type Session } from "../session";
import type { OpenedExperiment } from "./open";

interface SearchValues {
  readonly engine: EngineChoice;
  readonly device: DeviceChoice;
  readonly threads: number | undefined;
  readonly trackers: readonly Tracker[];
}

/** Tokens of the rows of the step that is timed: about what GLUE's have, where the base and the file allow it. */
const MEASURED_LENGTH = 64;

/**
 * Goes through the search's rounds. What is done is replayed; nothing is opened where nothing is left.
 * @param train false: a search that is not at its end is an error
 * Throws UserError (2) for another budget than the folder's search has, and for one too small.
 */
export async function searchExperiment(
  { resolver, experiment, out }: OpenedExperiment,
  values: SearchValues,
  train: boolean,
  call: Call,
): Promise<SearchOutcome> {
  const { runSearch } = await import("../../experiment/search/search.js");
  let session: Promise<Session> | null = null;
  const { engine, device, threads, trackers } = values;
  const open = () => {
    session ??= openSession({ engine, device, threads, precision: experiment.precision }, call);
    return session;
  };
  try {
    const budget =
      experiment.search === "auto" ? await budgetOf({ resolver, experiment, out }, train, open, call) : null;
    const work = train ? async () => ({ ...(await open()), trackers }) : null;
    const { signal, reporter } = call;
    return await runSearch({ resolver, budget, out, work, signal, reporter });
  } finally {
    (await (session as Promise<Session> | null))?.close();
  }
}

/** What is written down, else what a measurement makes of the time: one process measures, the others read. */
async function budgetOf(
  { resolver, experiment, out }: Pick<OpenedExperiment, "resolver" | "experiment" | "out">,
  train: boolean,
  open: () => Promise<Session>,
  call: Call,
): Promise<SearchBudget> {
  const { readBudget, writeBudget } = await import("../../experiment/search/budget.js");
  const { tryLockFolder } = await import("../../files/lock.js");
  const asked = { seconds: experiment.budget as number, seed: experiment.searchSeed };
  for (;;) {
    const known = await readBudget(out, asked);
    if (known) return known;
    if (!train) throw modelError(`${out} holds no search. Run: flexbert run ${experiment.file}, with the same --out`);
    const claim = await tryLockFolder(out, "measuring the rate of the search");
    if ("unlock" in claim) {
      try {
        const again = await readBudget(out, asked);
        if (again) return again;
        const session = await open();
        const rate = await rateOf(session, { resolver, experiment });
        const budget = await writeBudget(out, asked, { unitsPerSecond: rate, engine: session.engine.summary });
        call.reporter.log(
          `search: ${formatSeconds(asked.seconds)} at ${Math.round(rate)} layer-tokens a second are ${budget.units} units`,
        );
        return budget;
      } finally {
        await claim.unlock();
      }
    }
    await sleep(500, undefined, { signal: call.signal }).catch(() => undefined);
    if (call.signal.aborted) throw new Interrupted(null);
  }
}

async function rateOf(
  { engine }: Session,
  { resolver, experiment }: Pick<OpenedExperiment, "resolver" | "experiment">,
): Promise<number> {
  const { measureUnitRate } = await import("../../benchmark/unit-rate.js");
  const { config } = resolver.base;
  const [first] = resolver.trials;
  const length = Math.min(MEASURED_LENGTH, experiment.maxLength, mostTokens(config));
  return measureUnitRate(engine, config, { batchSize: first?.training.batchSize ?? 32, length });
}
