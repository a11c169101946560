// What `flexbert serve` does where more is asked of it than it can do, and where its processes are ended under load. Exits 1 where one of
// its promises breaks: at 5 times what it can do no 200 lacks a task or is wrong, the HTTP process's event loop is late by less than 5 ms in
// P99, memory stays, who is admitted waits at most twice as long as at 70 % (P99), and 429 leaves within 5 ms by the server's own clock
// (median); a kill -9 of an inference process loses nothing but for 503, a SIGTERM nothing.
//
//   npm run build && node bench/serve/overload.mjs --merged MERGED [--glue ../shared/data/glue] [--weights int8] [--seconds 30] [--rows 100]
//       [--rounds 3] [--times 5] [--workers N] [--threads N] [--profile FOLDER] [--flags="FLAGS OF SERVE"] [--out bench-out/serve]
//
// A round is --seconds at 70 % and as many at --times; times are the medians of the rounds. --profile writes a V8 CPU profile of the HTTP process.
import { mkdirSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { showUsage } from "../usage.mjs";
import { load, ms } from "./client.mjs";
import { promises } from "./promises.mjs";
import { devTexts, directAnswers, taskNames, WITHIN } from "./rows.mjs";
import { answersIn, capacityOf, median, percentile, serve } from "./server.mjs";

showUsage(import.meta.url);

const { values } = parseArgs({
  options: {
    merged: { type: "string", default: "merged" },
    glue: { type: "string", default: "../shared/data/glue" },
    weights: { type: "string", default: "int8" },
    seconds: { type: "string", default: "30" },
    rows: { type: "string", default: "100" },
    rounds: { type: "string", default: "3" },
    workers: { type: "string" },
    threads: { type: "string" },
    times: { type: "string", default: "5" },
    profile: { type: "string" },
    flags: { type: "string", default: "" },
    out: { type: "string", default: "bench-out/serve" },
  },
});
const seconds = Number(values.seconds);
mkdirSync(values.out, { recursive: true });
const log = path.join(values.out, "overload.log");

const texts = await devTexts(await taskNames(values.merged), values);
const answers = await directAnswers(values.merged, texts, values);
const node = values.profile ? ["--cpu-prof", "--cpu-prof-dir", values.profile] : [];
const flags = values.flags.split(" ").filter(Boolean);
const asked = { bodies: texts, answers, within: WITHIN };
const capacity = await capacityOf({ ...values, flags }, asked, Math.min(15, seconds));
const server = await serve({ ...values, flags, node, log });
const job = { ...asked, url: server.url };
const { promise, end } = promises();

/** What the server's own metrics say while a load runs: the most of it. */
async function watched(running) {
  const seen = [];
  let done = false;
  const ended = running.finally(() => {
    done = true;
  });
  while (!done) {
    await Promise.race([ended, sleep(2000)]);
    const found = await server.metrics();
    seen.push({
      late: 1000 * found['flexbert_event_loop_delay_seconds{quantile="0.99"}'],
      megabytes: (found.flexbert_http_process_resident_memory_bytes + found.flexbert_inference_resident_bytes) / 1e6,
    });
  }
  return { ...(await ended), seen };
}

const most = (list) => Math.max(...list);
await load({ ...job, rate: 50, seconds: 2 }); // warms it
console.log(
  `${os.cpus()[0]?.model}, ${os.availableParallelism()} cores, Node ${process.version}, load ${os.loadavg()[0]?.toFixed(1)}; ${values.weights}, ` +
    `${server.processes} processes of ${server.threads} threads: ${capacity.toFixed(0)} texts/s at most`,
);

await overload();
await killInference();
await terminate();
end();

function isRight({ wrong, partial, first }) {
  if (first) console.log(JSON.stringify(first));
  return wrong + partial === 0;
}

function only({ statuses, errors = {} }, allowed, allowedErrors = []) {
  const lost = Object.keys(errors).filter((kind) => !allowedErrors.includes(kind));
  return Object.keys(statuses).every((status) => allowed.includes(status)) && lost.length === 0;
}

async function overload() {
  const [calm, full] = [[], []];
  const before = answersIn(log).length;
  for (let round = 0; round < Number(values.rounds); round++) {
    calm.push(await load({ ...job, rate: 0.7 * capacity, seconds }));
    full.push(await watched(load({ ...job, rate: Number(values.times) * capacity, seconds })));
    for (const [share, { perSecond, p50, p99, statuses }] of [
      ["70 %", calm.at(-1)],
      [`${values.times} times`, full.at(-1)],
    ]) {
      console.log(
        `at ${share}: ${perSecond.toFixed(0)} texts/s, P50 ${ms(p50)}, P99 ${ms(p99)} ms, ${JSON.stringify(statuses)}`,
      );
    }
  }
  const refused = answersIn(log)
    .slice(before)
    .filter(({ status }) => status === 429)
    .map((line) => line.ms);
  const late = most(full.flatMap(({ seen }) => seen.map((one) => one.late)));
  const memory = full.map(({ seen }) => most(seen.map(({ megabytes }) => megabytes)));
  const ratio = median(full.map(({ p99 }) => p99)) / median(calm.map(({ p99 }) => p99));
  promise("no 200 lacks a task or is wrong", [...calm, ...full].every(isRight));
  const turnedAway = calm.reduce((sum, { statuses }) => sum + (statuses[429] ?? 0), 0);
  promise(
    `at 70 % ${turnedAway} refused, at most one in a thousand, and nothing lost`,
    calm.every((one) => only(one, ["200", "429"])) &&
      turnedAway <= 1e-3 * calm.reduce((sum, { statuses }) => sum + statuses[200], 0),
  );
  promise("beyond that the rest is 429", full.every((one) => only(one, ["200", "429"])) && refused.length > 0);
  promise(`event loop late by ${ms(late)} ms (P99, the worst of the rounds), less than 5`, late < 5);
  promise(
    `429 after ${ms(median(refused))} ms (median; P99 ${ms(percentile(refused, 0.99))}), at most 5`,
    median(refused) <= 5,
  );
  promise(`admitted: P99 ${ratio.toFixed(2)} times that at 70 %, at most 2`, ratio <= 2);
  promise(
    `memory in the last round ${memory.at(-1).toFixed(0)} MB, at most 5 % above the first's ${memory[0].toFixed(0)}`,
    memory.at(-1) <= 1.05 * memory[0],
  );
}

async function killInference() {
  const { processes } = await (await fetch(`${server.url}/v1/stats`)).json();
  const running = load({ ...job, rate: 0.7 * capacity, seconds: 10 });
  await sleep(3000);
  process.kill(processes[0].pid, "SIGKILL");
  const found = await running;
  const after = await load({ ...job, rate: 0.5 * capacity, seconds: 5 });
  const restarts = (await server.metrics()).flexbert_inference_restarts;
  console.log(
    `SIGKILL of an inference process at 70 %: ${JSON.stringify(found.statuses)}, ${restarts} restarts, then ${JSON.stringify(after.statuses)}`,
  );
  promise(
    "no request is lost: 200, 429 or 503",
    isRight(found) && only(found, ["200", "429", "503"]) && restarts === 1,
  );
  promise("then it is as before", isRight(after) && only(after, ["200"]));
}

async function terminate() {
  const before = answersIn(log).length;
  const running = load({ ...job, rate: 0.9 * capacity, seconds: 8 });
  await sleep(3000);
  const code = await server.stop();
  const found = await running;
  const sent = answersIn(log).length - before;
  const received = Object.values(found.statuses).reduce((sum, count) => sum + count, 0);
  console.log(
    `SIGTERM at 90 %: exit ${code}, ${JSON.stringify(found.statuses)}, without an answer ${JSON.stringify(found.errors)}; ${sent} answers sent`,
  );
  // Who comes when nobody listens any more was not taken; nor was what a client sends over a connection of before just when that is ended.
  promise(
    "no request that was taken is lost: each answer that was sent came",
    isRight(found) &&
      only(found, ["200", "429", "503"], ["ECONNREFUSED", "ECONNRESET"]) &&
      sent === received &&
      code === 0,
  );
}
