// `flexbert serve` against each task's separate model (all layers, a session each, no batching, the same HTTP server): texts and
// text-tasks a second at saturation, and P50 and P99 at 70 % of it. Real dev texts, every task that takes a text asked for, every answer
// compared with a direct run. The client is a process of its own on the same cores.
//
//   npm run build && node bench/serve/throughput.mjs --merged MERGED [--glue ../shared/data/glue] [--seconds 15] [--connections 32]
//       [--rows 100] [--workers 1] [--threads 2] [--sides separate,float32,int8] [--flags "FLAGS OF SERVE"] [--out bench-out/serve]
//
// MERGED is a folder that flexbert quantize has made int8. --rows are taken of each task's dev file.
import { execFileSync, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { showUsage } from "../usage.mjs";

const require = createRequire(import.meta.url);
const { readSplit } = require("../../dist/data/read-split.js");
const { openEngine } = require("../../dist/engines/open.js");
const { openModel } = require("../../dist/predict/model.js");
const { computeLogits, toPrediction } = require("../../dist/predict/predict.js");
const { resolveTasks } = require("../../dist/tasks/registry.js");

showUsage(import.meta.url);

const { values } = parseArgs({
  options: {
    merged: { type: "string", default: "merged" },
    glue: { type: "string", default: "../shared/data/glue" },
    seconds: { type: "string", default: "15" },
    connections: { type: "string", default: "32" },
    rows: { type: "string", default: "100" },
    workers: { type: "string", default: "1" },
    threads: { type: "string", default: String(os.availableParallelism()) },
    sides: { type: "string", default: "separate,float32,int8" },
    flags: { type: "string", default: "" },
    out: { type: "string", default: "bench-out/serve" },
  },
});
const folder = path.dirname(new URL(import.meta.url).pathname);
const bin = path.join(folder, "../../bin/flexbert.js");

/** A process that says its address in its first line of JSON. */
async function start(args) {
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "ignore"] });
  const exited = new Promise((resolve) => child.once("exit", resolve));
  for await (const line of createInterface({ input: child.stdout })) {
    child.stdout.resume();
    const stop = async () => {
      child.kill("SIGTERM");
      const late = setTimeout(() => child.kill("SIGKILL"), 30_000);
      await exited;
      clearTimeout(late);
    };
    return { url: JSON.parse(line).url, stop };
  }
  throw new Error(`${args.join(" ")} ended with ${await exited}`);
}

const serve = (weights) =>
  start([
    ...[bin, "serve", "--merged", values.merged, "--port", "0", "--json", "--no-auth", "--weights", weights],
    ...["--workers", values.workers, "--threads", values.threads, "--quiet"],
    ...values.flags.split(" ").filter(Boolean),
  ]);

const sides = {
  async separate(tasks) {
    for (const { name } of tasks) {
      const out = path.join(values.out, "separate", name);
      if (existsSync(path.join(out, "model.onnx"))) continue;
      const args = [
        "export",
        "onnx",
        "--merged",
        values.merged,
        "--task",
        name,
        "--out",
        out,
        "--glue-data",
        values.glue,
      ];
      execFileSync(process.execPath, [bin, ...args, "--quiet"], { stdio: "ignore" });
    }
    const script = path.join(folder, "peers/separate-server.mjs");
    return start([script, values.merged, path.join(values.out, "separate"), values.threads]);
  },
  float32: () => serve("float32"),
  int8: () => serve("int8"),
};

async function load(url, texts, answers, within, rate) {
  const child = spawn(process.execPath, [path.join(folder, "load.mjs")], { stdio: ["pipe", "pipe", "inherit"] });
  const asked = { url: `${url}/v1/predict`, bodies: texts, answers, within, ...(rate ? { rate } : {}) };
  child.stdin.end(
    JSON.stringify({ ...asked, connections: Number(values.connections), seconds: Number(values.seconds) }),
  );
  let text = "";
  for await (const data of child.stdout) text += data;
  return JSON.parse(text);
}

/** Texts of all tasks' dev files, and what a direct run says of them. */
async function rowsAndAnswers() {
  const { engine } = await openEngine("onnx", {});
  const answers = {};
  let [texts, tasks] = [[], []];
  for (const weights of ["float32", "int8"]) {
    const model = await openModel(values.merged, engine, { taskOf: () => undefined, weights });
    tasks = model.tasks;
    if (texts.length === 0) {
      for (const { name } of tasks) {
        const [task] = resolveTasks(name, []);
        const { examples } = await readSplit(task, "dev", { glueData: values.glue, maxRows: Number(values.rows) });
        texts.push(...examples.map(({ text, pair }) => (pair === null ? { text } : { text, pair })));
      }
      // In an order of their own, in which tasks and lengths are mixed.
      texts = texts
        .map((row, i) => ({ row, at: (i * 7919) % texts.length }))
        .sort((a, b) => a.at - b.at)
        .map(({ row }) => row);
    }
    answers[weights] = [];
    for (const { text, pair = null } of texts) {
      const fitting = tasks.filter(({ inputs }) => (inputs === "pair") === (pair !== null));
      const signal = new AbortController().signal;
      const logits = await computeLogits(model, [{ text, pair }], fitting, { signal });
      answers[weights].push(
        Object.fromEntries(fitting.map((task) => [task.name, toPrediction(task, logits[task.name], 0)])),
      );
    }
    model.dispose();
  }
  return { texts, answers, tasks };
}

const { texts, answers, tasks } = await rowsAndAnswers();
const tasksOf = (expected) => expected.reduce((sum, one) => sum + Object.keys(one).length, 0) / expected.length;
const cores = os.availableParallelism();
console.log(
  `${os.cpus()[0]?.model}, ${cores} cores, Node ${process.version}, load ${os.loadavg()[0]?.toFixed(1)}; ${texts.length} texts, ` +
    `${tasksOf(answers.float32).toFixed(2)} tasks each, ${values.connections} connections, ${values.seconds} s`,
);
const ms = (time) => time?.toFixed(1) ?? "-";
for (const side of values.sides.split(",")) {
  const expected = answers[side === "int8" ? "int8" : "float32"];
  const server = await sides[side](tasks);
  try {
    // int8 rows do not touch each other; attention sums more zeros among longer neighbours.
    const within = side === "int8" ? 1e-3 : 1e-4;
    await load(server.url, texts, expected, within, 50); // warm
    const full = await load(server.url, texts, expected, within);
    const rate = full.statuses[200] / full.seconds;
    const steady = await load(server.url, texts, expected, within, Math.max(1, Math.floor(0.7 * rate)));
    const perCore = (rate * tasksOf(expected)) / cores;
    console.log(
      `${side}: ${rate.toFixed(0)} texts/s, ${(rate * tasksOf(expected)).toFixed(0)} text-tasks/s, ${perCore.toFixed(0)} a core; saturated P50 ${ms(full.p50)}, ` +
        `P99 ${ms(full.p99)} ms; at 70 % (${(steady.statuses[200] / steady.seconds).toFixed(0)} texts/s) P50 ${ms(steady.p50)}, P99 ${ms(steady.p99)} ms; ` +
        `statuses ${JSON.stringify(full.statuses)} ${JSON.stringify(steady.statuses)}; wrong ${full.wrong + steady.wrong}`,
    );
    if (full.wrong + steady.wrong > 0) {
      console.log(JSON.stringify(full.first ?? steady.first));
      process.exitCode = 1;
    }
  } finally {
    await server.stop();
  }
}
process.exit();
