// What a text costs by the tasks that are asked of it: one of those that take it against all (layers that run, and time), a stream's first answer
// against its last, and a model of 1 to 21 tasks. One row at a time, so that times are a row's own. Exits 1 where another number of layers runs than
// the tasks have, one task takes 10 points more of the time than its share of the layers, a stream's answers do not come apart, or one is wrong.
//
//   npm run build && node bench/serve/tasks.mjs --merged MERGED [--glue ../shared/data/glue] [--weights int8] [--rows 40] [--counts 1,2,5,10,21]
//       [--seconds 10] [--workers N] [--threads N] [--out bench-out/serve]
//
// Models of --counts tasks have MiniLM's sizes, two layers above four shared ones, random weights of float32; they are made in --out.
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { showUsage } from "../usage.mjs";
import { load, ms, saturate } from "./client.mjs";
import { promises } from "./promises.mjs";
import { randomModel, randomTexts, tasksAbove } from "./random-model.mjs";
import { devTexts, directAnswers, servedOf, WITHIN } from "./rows.mjs";
import { layersRun, median, serve } from "./server.mjs";

showUsage(import.meta.url);

const { values } = parseArgs({
  options: {
    merged: { type: "string", default: "merged" },
    glue: { type: "string", default: "../shared/data/glue" },
    weights: { type: "string", default: "int8" },
    rows: { type: "string", default: "40" },
    counts: { type: "string", default: "1,2,5,10,21" },
    seconds: { type: "string", default: "10" },
    workers: { type: "string" },
    threads: { type: "string" },
    out: { type: "string", default: "bench-out/serve" },
  },
});
/** Times that each row is asked. */
const ROUNDS = 4;
const { promise, end } = promises();
console.log(
  `${os.cpus()[0]?.model}, ${os.availableParallelism()} cores, Node ${process.version}, load ${os.loadavg()[0]?.toFixed(1)}; ${values.weights}`,
);
const served = await servedOf(values.merged, values);
const texts = await devTexts(
  served.tasks.map(({ name }) => name),
  values,
);
const server = await serve(values);
await oneAgainstAll("single");
await oneAgainstAll("pair");
await streamed();
await server.stop();
for (const count of values.counts.split(",").map(Number)) await curve(count);
end();

async function ask(body) {
  const response = await fetch(`${server.url}/v1/predict`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(await response.text());
  return response;
}

/** The events of a stream. */
async function stream(body) {
  const text = await (await ask({ ...body, stream: true })).text();
  const events = [...text.matchAll(/^event: (\w+)\ndata: (.*)$/gm)].map(([, name, data]) => [name, JSON.parse(data)]);
  const of = (wanted) => events.filter(([name]) => name === wanted).map(([, content]) => content);
  return { predictions: of("prediction"), ...of("done")[0] };
}

/**
 * Of rows that take such an input: each task alone, and all. Rows are asked in turn by all sides, so that all meet the same machine; of a row
 * the best time counts.
 */
async function oneAgainstAll(inputs) {
  const tasks = served.tasks.filter((task) => task.inputs === inputs);
  const rows = texts.filter(({ pair }) => (pair === undefined) === (inputs === "single"));
  const sides = [...tasks.map((task) => [task]), tasks].map((asked) => ({ asked, layers: new Set(), ms: 0 }));
  for (const row of rows) {
    const best = sides.map(() => Number.POSITIVE_INFINITY);
    for (let round = 0; round < ROUNDS; round++) {
      for (const [i, { asked, layers }] of sides.entries()) {
        const body = { ...row, tasks: asked.map(({ name }) => name) };
        const { headers } = await ask(body);
        best[i] = Math.min(best[i], Number(headers.get("x-inference-time")));
        if (round === 0) layers.add(sum((await stream(body)).pieces.map((piece) => piece.layers)));
      }
    }
    for (const [i, side] of sides.entries()) side.ms += best[i] / rows.length;
  }
  const all = sides.at(-1);
  for (const side of sides) {
    const layers = served.layersOf(side.asked);
    const [share, time] = [layers / served.layersOf(tasks), side.ms / all.ms];
    const what = side === all ? `all ${tasks.length}` : side.asked[0].name;
    const percent = (part) => `${(100 * part).toFixed(0)} %`;
    console.log(
      `${what} of ${rows.length} ${inputs} texts: ${layers} layers, ${percent(share)} of all; ${ms(side.ms)} ms (mean), ${percent(time)}`,
    );
    promise(`${[...side.layers].join(" or ")} layers run`, side.layers.size === 1 && side.layers.has(layers));
    if (side !== all) promise("its share of the time is at most 10 points beyond that", time <= share + 0.1);
  }
}

/** How much sooner the first answer is there than the last, against what the branches between them took. */
async function streamed() {
  const [apart, between, whole] = [[], [], []];
  for (let round = 0; round < ROUNDS; round++) {
    for (const row of texts) {
      const { predictions, pieces } = await stream(row);
      const [first, last] = [predictions[0], predictions.at(-1)];
      const behind = pieces.slice(pieces.findIndex(({ piece }) => piece === first.task) + 1);
      apart.push(last.at_ms - first.at_ms);
      between.push(sum(behind.map((piece) => piece.ms)));
      whole.push(last.at_ms);
    }
  }
  console.log(
    `streamed: the last answer after ${ms(median(whole))} ms, the first ${ms(median(apart))} before it (medians); what ran between took ${ms(median(between))}`,
  );
  const part = sum(apart) / sum(between);
  promise(`that is ${(100 * part).toFixed(0)} % of what ran between, at least 80`, part >= 0.8);
}

async function curve(count) {
  const tasks = tasksAbove(4, 2 * count, count);
  const { folder, served: model } = await randomModel(path.join(values.out, `tasks-${count}`), {
    size: "minilm",
    tasks,
    weights: "float32",
  });
  const rows = randomTexts(60, [8, 48]);
  const answers = await directAnswers(folder, rows, { weights: "float32" });
  const own = await serve({ ...values, weights: "float32", merged: folder });
  const job = { url: own.url, bodies: rows, answers, within: WITHIN };
  const full = await saturate(job, { connections: 12 * own.processes, seconds: Number(values.seconds) });
  const alone = await load({ ...job, connections: 1, seconds: Number(values.seconds) / 2 });
  const { run } = layersRun(await own.metrics());
  console.log(
    `${count} tasks: ${model.layersOf(model.tasks)} layers, ${6 * count} in models of their own; ${full.perSecond.toFixed(0)} texts/s, ${(count * full.perSecond).toFixed(0)} text-tasks/s ` +
      `with ${own.processes} processes of ${own.threads} threads; one at a time P50 ${ms(alone.p50)} ms`,
  );
  promise(
    `answers are a direct run's, and ${run.toFixed(2)} layers run`,
    full.wrong + full.partial + alone.wrong + alone.partial === 0 && Math.abs(run - (4 + 2 * count)) < 1e-9,
  );
  await own.stop();
}

function sum(list) {
  return list.reduce((total, one) => total + one, 0);
}
