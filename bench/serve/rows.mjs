// Real texts for the serving benches, and what a direct run, in this process and without a server, says of them.
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const { readSplit } = require("../../dist/data/read-split.js");
const { openEngine } = require("../../dist/engines/open.js");
const { openModel } = require("../../dist/predict/model.js");
const { computeLogits, toPrediction } = require("../../dist/predict/predict.js");
const { readServed } = require("../../dist/serve/model/served.js");
const { resolveTasks } = require("../../dist/tasks/registry.js");

/** Bodies of requests: rows of each task's dev file, tasks and lengths mixed. */
export async function devTexts(names, { glue, rows }) {
  const texts = [];
  for (const name of names) {
    const [task] = resolveTasks(name, []);
    const { examples } = await readSplit(task, "dev", { glueData: glue, maxRows: Number(rows) });
    texts.push(...examples.map(({ text, pair }) => (pair === null ? { text } : { text, pair })));
  }
  return texts
    .map((row, i) => ({ row, at: (i * 7919) % texts.length }))
    .sort((a, b) => a.at - b.at)
    .map(({ row }) => row);
}

/**
 * Of each text: predictions of the tasks that take it, by task and by the task's version.
 * @param versions of the folder, whose answers go together; undefined for the current one
 */
export async function directAnswers(merged, texts, { weights, versions = [undefined] }) {
  const { engine } = await openEngine("onnx", {});
  const { signal } = new AbortController();
  const answers = texts.map(() => ({}));
  for (const version of versions) {
    const served = await readServed(merged, { weights, version });
    const model = await openModel(merged, engine, { taskOf: () => undefined, weights, version });
    for (const [i, { text, pair = null }] of texts.entries()) {
      const fits = model.tasks.filter(({ inputs }) => (inputs === "pair") === (pair !== null));
      const tasks = fits.filter(({ name }) => !answers[i][name]?.[served.task(name).version]);
      if (tasks.length === 0) continue;
      const logits = await computeLogits(model, [{ text, pair }], tasks, { signal });
      for (const task of tasks) {
        const found = toPrediction(task, logits[task.name].of(0), { text, pair });
        if (JSON.stringify(found).includes("null")) throw new Error(`${task.name} of ${text}: no number came`);
        answers[i][task.name] = { ...answers[i][task.name], [served.task(task.name).version]: found };
      }
    }
    model.dispose();
  }
  return answers;
}

/** For a server that names no versions. */
export const anyVersion = (answers) =>
  answers.map((tasks) =>
    Object.fromEntries(Object.entries(tasks).map(([task, known]) => [task, { any: Object.values(known)[0] }])),
  );

/** How far numbers may be from a direct run's: a row's answer is its own whatever runs beside it, to the bit, and JSON rounds it. */
export const WITHIN = 1e-6;

export const tasksEach = (answers) => answers.reduce((sum, one) => sum + Object.keys(one).length, 0) / answers.length;

export const servedOf = (merged, { weights }) => readServed(merged, { weights });

export const taskNames = async (merged) => (await readServed(merged, {})).tasks.map(({ name }) => name);
