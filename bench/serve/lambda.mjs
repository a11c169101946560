// A function of `flexbert pack --target lambda`, run as the platform runs it: unpacked into a folder of its own, a fresh process
// for each start, and events from a runtime API on loopback (https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html).
// Cold start, warm times, and what a million predictions cost by these times.
//
//   npm run build && node bench/serve/lambda.mjs --merged merged/ [--file texts.tsv] [--starts 10] [--events 2000]
//     [--memory 1769] [--cpus 0] [--out bench-out/lambda]
//
// --file has a text a line (made-up ones without it), a tab before the text's pair. --memory is the function's in MB, by which the
// platform gives processors: 1,769 MB are one. --cpus names those that the process may use, where taskset is there. The disk's
// cache is warm here, and the platform's own start (its sandbox, the download of the zip) is not in it.
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { showUsage } from "../usage.mjs";

const require = createRequire(import.meta.url);
const { planFunction, writeServer } = require("../../dist/serve/pack/pack.js");
const { bytesOf } = require("../../dist/serve/pack/contents.js");
const { openModel } = require("../../dist/api/open-model.js");

showUsage(import.meta.url);

const { values } = parseArgs({
  options: {
    merged: { type: "string", default: "merged" },
    file: { type: "string" },
    starts: { type: "string", default: "10" },
    events: { type: "string", default: "2000" },
    memory: { type: "string", default: "1769" },
    cpus: { type: "string", default: "0" },
    out: { type: "string", default: "bench-out/lambda" },
  },
});
const memory = Number(values.memory);

/** Dollars, us-east-1, first tier, without the free one: https://aws.amazon.com/lambda/pricing/, as quoted in May 2026. */
const prices = { gbSecond: { x64: 0.0000166667, arm64: 0.0000133334 }, million: 0.2 };

/** What the platform's own runtime does for Node: load the handler, ask for events, send answers. */
const bootstrap = `
const api = "http://" + process.env.AWS_LAMBDA_RUNTIME_API + "/2018-06-01/runtime/";
const { handler } = require(process.env.LAMBDA_TASK_ROOT + "/index.js");
(async () => {
  await handler({ text: "" }).catch(() => undefined); // the platform freezes what is not awaited: the start ends when the model is open
  for (;;) {
    const next = await fetch(api + "invocation/next");
    const id = next.headers.get("lambda-runtime-aws-request-id");
    if (!id) return;
    const answer = await handler(await next.json(), { awsRequestId: id });
    await (await fetch(api + "invocation/" + id + "/response", { method: "POST", body: JSON.stringify(answer) })).text();
  }
})();
`;

const made = [
  "where is my parcel",
  "please cancel it, all of it",
  "what does a table for two cost on a Sunday evening",
  "the food was cold and the staff rude, and nobody said a word when we left",
];
const texts = values.file
  ? readFileSync(values.file, "utf8")
      .trim()
      .split("\n")
      .map((line) => line.split("\t"))
  : made.map((text) => [text]);
const events = Array.from({ length: Number(values.events) }, (_, i) => {
  const [text, pair] = texts[i % texts.length];
  return pair === undefined ? { text } : { text, pair };
});

const arch = os.arch();
const pack = await planFunction({ folder: values.merged, arch });
rmSync(values.out, { recursive: true, force: true });
mkdirSync(values.out, { recursive: true });
const folder = path.resolve(values.out, "function");
await writeServer(pack, folder, false);
writeFileSync(path.join(values.out, "bootstrap.cjs"), bootstrap);
const pinned = spawnSync("taskset", ["--version"]).status === 0;

/** One process: its start, then the events one after the other. Times in ms. */
async function life(own) {
  const times = [];
  const answers = [];
  let [began, handed, started, sent] = [0, 0, null, 0];
  let finish;
  const finished = new Promise((resolve) => {
    finish = resolve;
  });
  const server = createServer(async (request, response) => {
    if (request.method === "GET") {
      started ??= performance.now() - began;
      if (sent === own.length) return finish();
      response.setHeader("lambda-runtime-aws-request-id", String(sent));
      handed = performance.now();
      return response.end(JSON.stringify(own[sent++]));
    }
    let body = "";
    for await (const chunk of request) body += chunk;
    times.push(performance.now() - handed);
    answers.push(JSON.parse(body));
    response.end();
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const command = [process.execPath, path.resolve(values.out, "bootstrap.cjs")];
  const whole = pinned ? ["taskset", "-c", values.cpus, ...command] : command;
  began = performance.now();
  const child = spawn(whole[0], whole.slice(1), {
    cwd: "/",
    stdio: ["ignore", "ignore", "inherit"],
    env: {
      PATH: process.env.PATH,
      LAMBDA_TASK_ROOT: folder,
      AWS_LAMBDA_RUNTIME_API: `127.0.0.1:${server.address().port}`,
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(memory),
    },
  });
  await Promise.race([
    finished,
    new Promise((_, reject) => child.once("exit", (code) => reject(new Error(`the function ended with ${code}`)))),
  ]);
  const rss = process.platform === "linux" ? highWater(child.pid) : null;
  child.removeAllListeners("exit");
  child.kill();
  server.closeAllConnections();
  server.close();
  return { started, first: started + times[0], times, answers, rss };
}

const highWater = (pid) => Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]) * 1024;
const at = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
const sorted = (list) => [...list].sort((a, b) => a - b);
const ms = (value) => `${value.toFixed(1)} ms`;

const starts = [];
for (let i = 0; i < Number(values.starts); i++) starts.push(await life(events.slice(0, 1)));
const warm = await life(events);

// Every answer is compared with a direct run.
const model = await openModel({ model: values.merged, engine: "onnx", threads: 1 });
for (const [i, event] of events.slice(0, texts.length).entries()) {
  const [direct] = await model.predict([event]);
  for (const [task, prediction] of Object.entries(direct.predictions)) {
    const { version, ...answered } = warm.answers[i].predictions[task];
    if (JSON.stringify(answered) !== JSON.stringify(prediction)) throw new Error(`${task} differs on ${event.text}`);
  }
}
model.close();

const cold = sorted(starts.map(({ started }) => started));
const times = sorted(warm.times);
const mean = times.reduce((sum, time) => sum + time, 0) / times.length;
const billed = warm.times.reduce((sum, time) => sum + Math.ceil(time), 0) / times.length;
const dollars = (kind) => (billed / 1000) * (memory / 1024) * prices.gbSecond[kind] * 1e6 + prices.million;
const lines = [
  `${os.cpus()[0]?.model}, ${pinned ? `processors ${values.cpus}` : "all processors"}, ${memory} MB, node ${process.version}`,
  `version ${pack.model.version}, ${pack.model.weights}, ${pack.model.tasks.length} tasks; unpacked ${(bytesOf(pack.files) / 1e6).toFixed(1)} MB`,
  `start to ready: median ${ms(at(cold, 0.5))}, most ${ms(cold.at(-1))} of ${cold.length}; with the first answer ${ms(at(sorted(starts.map(({ first }) => first)), 0.5))}`,
  `warm, ${times.length} events: median ${ms(at(times, 0.5))}, P99 ${ms(at(times, 0.99))}, mean ${ms(mean)}; ${warm.rss === null ? "" : `${(warm.rss / 1e6).toFixed(0)} MB at most`}`,
  `a million predictions: ${dollars(arch).toFixed(2)} dollars (${billed.toFixed(1)} ms billed each, ${prices.gbSecond[arch]} a GB-second, ${prices.million} a million calls)`,
];
console.log(lines.join("\n"));
writeFileSync(
  path.join(values.out, "lambda.json"),
  `${JSON.stringify({ cold, times, memory, arch, lines }, null, 2)}\n`,
);
