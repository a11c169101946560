// `flexbert serve` against each task's separate model (all layers, a session each, no batching, the same HTTP server) and against Python's servers:
// texts and text-tasks a second at saturation, what 10^9 of these cost, and P50 and P99 at 70 % of it. Real dev texts, every task that takes a text
// asked for, every answer compared with a direct run. The client is a process of its own on the same cores. Exits 1 where an answer is wrong, int8
// has less than 100 text-tasks a second and core, or flexbert is ahead by less than it promises.
//
//   npm run build && node bench/serve/throughput.mjs --merged MERGED [--glue ../shared/data/glue] [--rounds 3] [--seconds 15] [--connections 32]
//       [--rows 100] [--inputs all|single|pair] [--workers N] [--threads 2] [--sides separate,float32,int8,litserve,infinity] [--price 0.04]
//       [--litserve PYTHON] [--infinity PYTHON] [--flags "FLAGS OF SERVE"] [--out bench-out/serve]
//
// MERGED is a folder that flexbert quantize has made int8. --rows are taken of each task's dev file. Sides are measured in turn, round by round; the
// best and the median round are printed. --price is dollars a core and hour. infinity classifies no pairs: with it --inputs is single. A queue
// that is not to be full has --max-delay-ms 60000: the connections ask again as soon as they are answered.
import { mkdirSync } from "node:fs";
import os from "node:os";
import { parseArgs } from "node:util";
import { showUsage } from "../usage.mjs";
import { load, ms, saturate } from "./client.mjs";
import * as peers from "./peers/peers.mjs";
import { promises } from "./promises.mjs";
import { anyVersion, devTexts, directAnswers, servedOf, tasksEach, WITHIN } from "./rows.mjs";
import { percentile, serve } from "./server.mjs";

showUsage(import.meta.url);

const { values } = parseArgs({
  options: {
    merged: { type: "string", default: "merged" },
    glue: { type: "string", default: "../shared/data/glue" },
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "15" },
    connections: { type: "string", default: "32" },
    rows: { type: "string", default: "100" },
    inputs: { type: "string", default: "all" },
    workers: { type: "string" },
    threads: { type: "string", default: String(os.availableParallelism()) },
    sides: { type: "string", default: "separate,float32,int8" },
    price: { type: "string", default: "0.04" },
    litserve: { type: "string", default: "python3" },
    infinity: { type: "string", default: "python3" },
    flags: { type: "string", default: "--max-delay-ms 60000" },
    out: { type: "string", default: "bench-out/serve" },
  },
});
const [cores, seconds, connections] = [os.availableParallelism(), Number(values.seconds), Number(values.connections)];
mkdirSync(values.out, { recursive: true });
const flags = values.flags.split(" ").filter(Boolean);
/** --threads is of those that do not choose. */
const layout = { workers: values.workers, threads: values.workers ? values.threads : undefined };
const flexbert = (weights) => () => serve({ ...values, ...layout, weights, flags });
const ways = { ...peers, float32: flexbert("float32"), int8: flexbert("int8") };

const { tasks } = await servedOf(values.merged, {});
const all = await devTexts(
  tasks.map(({ name }) => name),
  values,
);
const isAsked = ({ pair }) => values.inputs === "all" || (values.inputs === "pair") === (pair !== undefined);
const texts = all.filter(isAsked);
const answers = {};
for (const weights of ["float32", "int8"])
  answers[weights] = anyVersion(await directAnswers(values.merged, texts, { weights }));
const each = tasksEach(answers.float32);
console.log(
  `${os.cpus()[0]?.model}, ${cores} cores, Node ${process.version}, load ${os.loadavg()[0]?.toFixed(1)}; ${texts.length} texts (${values.inputs}), ` +
    `${each.toFixed(2)} tasks each, ${connections} connections, ${values.rounds} rounds of ${seconds} s in turn, ${values.price} dollars a core and hour`,
);

const sides = [];
try {
  for (const name of values.sides.split(",")) {
    sides.push({ name, server: await ways[name](values, tasks), full: [], steady: [] });
  }
  for (let round = 0; round < Number(values.rounds); round++) for (const side of sides) await measure(side);
} finally {
  for (const { server } of sides) await server.stop();
}
const { promise, end } = promises();
console.table(Object.fromEntries(sides.map((side) => [side.name, figures(side)])));
judge();
end();

async function measure({ name, server, full, steady }) {
  const weights = name === "int8" ? "int8" : "float32";
  const job = { url: server.url, bodies: texts, answers: answers[weights], within: WITHIN };
  full.push(await saturate(job, { connections, seconds }));
  steady.push(await load({ ...job, rate: 0.7 * full.at(-1).perSecond, seconds }));
  const [most, calm] = [full.at(-1), steady.at(-1)];
  console.log(
    `${name}: ${most.perSecond.toFixed(0)} texts/s, P50 ${ms(most.p50)}, P99 ${ms(most.p99)} ms; at 70 % P50 ${ms(calm.p50)}, P99 ${ms(calm.p99)} ms; ` +
      `${JSON.stringify(most.statuses)} ${JSON.stringify(calm.statuses)}`,
  );
  const wrong = most.first ?? calm.first;
  if (wrong) console.log(JSON.stringify(wrong));
}

function best({ full }) {
  return Math.max(...full.map(({ perSecond }) => perSecond));
}

function figures({ full, steady, ...side }) {
  const median = (list, of) => percentile(list.map(of), 0.5);
  const perCore = (best({ full }) * each) / cores;
  return {
    "texts/s, best": Math.round(best({ full })),
    "texts/s, median": Math.round(median(full, ({ perSecond }) => perSecond)),
    "text-tasks/s and core": Math.round(perCore),
    "dollars per 10^9": Math.round((Number(values.price) * 1e9) / (perCore * 3600)),
    "P50 at 70 %": ms(median(steady, ({ p50 }) => p50)),
    "P99 at 70 %": ms(median(steady, ({ p99 }) => p99)),
    processes: side.server.processes ?? "",
  };
}

/** What is promised of the sides that ran. */
function judge() {
  const of = Object.fromEntries(sides.map((side) => [side.name, side]));
  for (const { name, full, steady } of sides) {
    const wrong = [...full, ...steady].reduce((sum, one) => sum + one.wrong + one.partial, 0);
    promise(`${name}: ${wrong} answers are not a direct run's`, wrong === 0);
  }
  if (of.int8) promise("int8: at least 100 text-tasks a second and core", (best(of.int8) * each) / cores >= 100);
  for (const [ahead, behind, times] of [
    ["float32", "separate", 3],
    ["int8", "separate", 7],
    ["float32", "litserve", 3],
    ["float32", "infinity", 3],
  ]) {
    if (!of[ahead] || !of[behind]) continue;
    const ratio = best(of[ahead]) / best(of[behind]);
    promise(
      `${ahead} has ${ratio.toFixed(2)} times the texts a second of ${behind}, at least ${times}`,
      ratio >= times,
    );
  }
}
