// The pipeline as a library: fine-tune tasks, distil their teachers, merge, score and predict.
// Run: node docs/api-example.mjs [BASE] [TASKS.yaml] [TASK,TASK] [OUT]
// BASE is a name in the cache (flexbert pull NAME brings one there) or a folder.

import { distill, evaluate, finetune, merge, openEngine, openModel, UserError } from "flexbert";

const [
  base = "sentence-transformers/all-MiniLM-L6-v2",
  tasks = "glue-data/sample/tasks.yaml",
  task = "sample-sentiment,sample-intent",
  out = "api-example",
] = process.argv.slice(2);

/** Hears what the work says of itself; without a reporter it is silent. */
const reporter = {
  log: (line) => console.error(line),
  warn: (line) => console.error(`warning: ${line}`),
  progress: () => ({ advance() {}, end() {} }),
};
/** Ctrl-C stops the work at its next step, with its state saved: the same program goes on from there. */
const stop = new AbortController();
process.once("SIGINT", () => stop.abort());

try {
  // One engine for all calls; without it each call opens its own, and closes it.
  const engine = await openEngine({}, { reporter });
  const caller = { reporter, signal: stop.signal, engine };
  const shared = { base, tasks, checkpoints: `${out}/checkpoints` };
  const rows = { maxTrainSamples: 192, maxEvalSamples: 64, maxLength: 32, batchSize: 16 };

  const tuned = await finetune({ ...shared, ...rows, task, k: [1, 2], epochs: 2, learningRate: 3e-4 }, caller);
  for (const { task: name, runs, teacher } of tuned.tasks) {
    const best = runs.find(({ folder }) => folder === teacher);
    console.log(`${name}: k = ${best?.layers}, ${(100 * (best?.score ?? 0)).toFixed(1)} points on dev`);
  }
  await distill({ ...shared, ...rows, task, studentLayers: 1, epochs: 4, learningRate: 1e-3 }, caller);

  const merged = await merge({ ...shared, task, out: `${out}/merged` }, caller);
  const { layers, share } = merged.overhead;
  console.log(`${merged.out}: ${layers} encoder layers, ${(100 * share).toFixed(0)} % of a BERT a task`);

  const model = `${out}/merged`;
  const { tasks: scores } = await evaluate({ model, tasks, maxEvalSamples: 64 }, caller);
  for (const { task: name, rows: count, score } of scores) console.log(`${name}: ${score} on ${count} dev rows`);

  const open = await openModel({ model, tasks }, caller);
  for (const { text, predictions } of await open.predict(["the soup was cold and the waiter never came back"])) {
    console.log(text, predictions);
  }
  open.close();
  engine.dispose();
} catch (error) {
  if (!(error instanceof UserError)) throw error;
  console.error(error.message); // what is wrong, with which value, and what to do
  process.exitCode = error.exitCode;
}
