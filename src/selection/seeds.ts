// Which runs differ by nothing but the seed: what the noise of seeds is measured on.

import type { StoredRun } from "../checkpoints/runs/run-folder";
import { canonicalJson } from "../files/hash";

/** Whatever a run's score may rest on beside its seed, as its record has it: all that its id hashes. */
export function settingOf({ record }: StoredRun): string {
  const { method, base, fork, layers, init, initLayers, teacher, taughtBy, transfer, options, labels } = record;
  return canonicalJson({
    ...{ method, base: base.sha256, fork, layers, init, initLayers, options, labels },
    ...{ train: record.trainData.sha256, dev: record.devData.sha256, teacher: teacher?.sha256 },
    taughtBy: taughtBy?.map(({ sha256 }) => sha256),
    transfer: transfer && { sha256: transfer.sha256, rows: transfer.rows },
  });
}
