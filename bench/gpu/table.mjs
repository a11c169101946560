// The table of bench/gpu/run.mjs, in Markdown, from its rows.

/** @param all rows as run.mjs records them: of steps, rates, sweeps, and what programs said or failed with */
export function tableOf(all) {
  const ms = (value) => (value === undefined ? "" : value.toFixed(2));
  const steps = all.filter((row) => row.case);
  const rates = all.filter((row) => row.offered);
  const sweeps = all.filter((row) => row.sweep && row.runs);
  const lines = [
    "| step | precision | dropout | device | ours ms (frozen) | median | PyTorch ms | median | ratio |",
    "|---|---|---|---|---|---|---|---|---|",
    ...steps.map((row) =>
      row.error
        ? `| ${row.case} | ${row.precision} | ${row.dropout} | ${row.device} | ${row.error.slice(0, 80)} |`
        : `| ${row.case} | ${row.precision} | ${row.dropout} | ${row.device} | ${ms(row.ours.best)} (${ms(row.ours.frozen)}) | ` +
          `${ms(row.ours.median)} | ${ms(row.peer?.best)} | ${ms(row.peer?.median)} | ${ms(row.ratio)} |`,
    ),
    "",
    "| device | precision | offered/s | answered/s | P50 ms | P99 ms | rows a batch |",
    "|---|---|---|---|---|---|---|",
    ...rates.map(
      (row) =>
        `| ${row.device} | ${row.precision} | ${row.offered} | ${row.answered.toFixed(0)} | ${ms(row.p50)} | ${ms(row.p99)} | ${row.rows.toFixed(1)} |`,
    ),
    "",
    "| sweep | device | precision | k | run s | tokens/s | all s |",
    "|---|---|---|---|---|---|---|",
    ...sweeps.flatMap((row) =>
      row.runs.map(
        (run) =>
          `| ${row.sweep}, ${row.size} | ${row.device} | ${row.precision} | ${run.k} | ${ms(run.seconds)} | ` +
          `${run.tokensPerSecond.toFixed(0)} | ${ms(row.seconds)} |`,
      ),
    ),
    "",
    ...all
      .filter((row) => row.queriesPerSecond)
      .map(
        (row) =>
          `${row.device} ${row.precision} ${row.rows} x ${row.length}: ${ms(row.ms)} ms, ${row.queriesPerSecond.toFixed(0)} queries/s`,
      ),
    ...all.filter((row) => row.said).map((row) => `${row.part}: ${row.said}`),
    ...all.filter((row) => row.failed || row.skipped).map((row) => `${row.part}: ${row.failed ?? row.skipped}`),
  ];
  return `${lines.join("\n")}\n`;
}
