// The paper's Appendix E in shape: 21 tasks in 40 layers of BERT-base, of which 8 are shared; random weights, int8; every text asks all tasks.
// Texts a second at saturation, P50 and P99 at 70 % of it, layers that ran and memory, on this machine's processor. Exits 1 where an answer
// differs from a direct run, or other than 40 layers run. bench/gpu/serving.mjs is the same shape on a GPU, without a server.
//
//   npm run build && node bench/serve/appendix-e.mjs [--size base] [--tasks 21] [--layers 40] [--shared 8] [--weights int8] [--lengths 8-48]
//       [--seconds 30] [--rounds 3] [--workers N] [--threads N] [--out bench-out/serve]
//   ... --eight      instead the paper's eight tasks of GLUE as its Table 1 chooses them, 33 layers; exits 1 too below 52 text-tasks a second and core
//
// The model is made once, in --out (four minutes; 1.6 GB).
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { paperTasks } from "../peers/random-merged.mjs";
import { showUsage } from "../usage.mjs";
import { load, ms, saturate } from "./client.mjs";
import { promises } from "./promises.mjs";
import { randomModel, randomTexts, tasksAbove } from "./random-model.mjs";
import { directAnswers, WITHIN } from "./rows.mjs";
import { layersRun, percentile, serve } from "./server.mjs";

showUsage(import.meta.url);

const { values } = parseArgs({
  options: {
    size: { type: "string", default: "base" },
    tasks: { type: "string", default: "21" },
    layers: { type: "string", default: "40" },
    shared: { type: "string", default: "8" },
    weights: { type: "string", default: "int8" },
    lengths: { type: "string", default: "8-48" },
    seconds: { type: "string", default: "30" },
    rounds: { type: "string", default: "3" },
    workers: { type: "string" },
    threads: { type: "string" },
    eight: { type: "boolean", default: false },
    out: { type: "string", default: "bench-out/serve" },
  },
});
const seconds = Number(values.seconds);
const tasks = values.eight
  ? paperTasks
  : tasksAbove(Number(values.shared), values.layers - values.shared, Number(values.tasks));
const count = tasks.length;
const out = path.join(values.out, `${values.eight ? "eight" : "appendix-e"}-${values.size}-${count}`);
const { folder, served } = await randomModel(out, { ...values, tasks });
const texts = randomTexts(60, values.lengths.split("-").map(Number));
const answers = await directAnswers(folder, texts, values);
const server = await serve({ ...values, merged: folder });
const job = { url: server.url, bodies: texts, answers, within: WITHIN };
const { promise, end } = promises();

const rounds = [];
for (let round = 0; round < Number(values.rounds); round++) {
  const full = await saturate(job, { connections: 12 * server.processes, seconds });
  rounds.push({ full, steady: await load({ ...job, rate: 0.7 * full.perSecond, seconds }) });
}
const median = (of) => percentile(rounds.map(of), 0.5);
const metrics = await server.metrics();
const ran = layersRun(metrics);
console.log(
  `${os.cpus()[0]?.model}, ${os.availableParallelism()} cores, Node ${process.version}, load ${os.loadavg()[0]?.toFixed(1)}; ${values.size}, ${values.weights}, ` +
    `${server.processes} processes of ${server.threads} threads; medians of ${rounds.length} rounds of ${seconds} s`,
);
console.log(
  `${count} tasks: ${median(({ full }) => full.perSecond).toFixed(1)} texts/s, ${(count * median(({ full }) => full.perSecond)).toFixed(0)} text-tasks/s; at 70 % P50 ` +
    `${ms(median(({ steady }) => steady.p50))}, P99 ${ms(median(({ steady }) => steady.p99))} ms; ${ran.run.toFixed(2)} layers a token, of a naive run ${ran.naive.toFixed(0)}; memory ` +
    `${(metrics.flexbert_inference_resident_bytes / 1e6).toFixed(0)} MB in ${server.processes} inference processes, ${(metrics.flexbert_http_process_resident_memory_bytes / 1e6).toFixed(0)} MB beside`,
);
const all = rounds.flatMap(({ full, steady }) => [full, steady]);
promise(
  "every answer is a direct run's",
  all.every(({ wrong, partial }) => wrong + partial === 0),
);
const layers = served.layersOf(served.tasks);
promise(
  `${layers} layers run of each token`,
  layers === (values.eight ? 33 : Number(values.layers)) && Math.abs(ran.run - layers) < 1e-9,
);
const perCore = (count * median(({ full }) => full.perSecond)) / os.availableParallelism();
if (values.eight) promise(`${perCore.toFixed(0)} text-tasks a second and core, at least 52`, perCore >= 52);
await server.stop();
end();
