// Tasks of a running server updated one after the other under load: no request fails, none is wrong by the version that it names, none that
// was sent after a swap was confirmed is answered by what was there before, nobody waits much longer around a swap, and memory stays.
// Exits 1 where one of these breaks.
//
//   npm run build && node bench/serve/updates.mjs --merged MERGED --checkpoints ITS-RUNS [--glue ../shared/data/glue] [--weights int8]
//       [--runs 0.5:5:30,0.8:30:100] [--rows 60] [--workers N] [--threads N]
//       [--flags="--max-delay-ms 3000"] [--out bench-out/serve]
//   ... --runs 0.1:20:1000        a thousand swaps at low load
//
// A run is a share of what the server can do, minutes and updates. At 0.5 the P99 of requests that were under way within a second of a swap
// is at most 1.2 times that of the others of the same run; at other loads both are printed. The versions are made before (ring.mjs: ten
// minutes, once), so that an update is a change of the folder's pointer, its opening and warming, and the swap.
import { mkdirSync, readFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { showUsage } from "../usage.mjs";
import { load, ms } from "./client.mjs";
import { promises } from "./promises.mjs";
import { ringOf } from "./ring.mjs";
import { devTexts, directAnswers, taskNames, WITHIN } from "./rows.mjs";
import { capacityOf, newToken, percentile, privateMegabytes, serve } from "./server.mjs";

showUsage(import.meta.url);

const { values } = parseArgs({
  options: {
    merged: { type: "string", default: "merged" },
    checkpoints: { type: "string", default: "checkpoints" },
    glue: { type: "string", default: "../shared/data/glue" },
    weights: { type: "string", default: "int8" },
    runs: { type: "string", default: "0.5:5:30,0.8:30:100" },
    rows: { type: "string", default: "60" },
    workers: { type: "string" },
    threads: { type: "string" },
    flags: { type: "string", default: "" },
    out: { type: "string", default: "bench-out/serve" },
  },
});
/** Around a swap, in ms. */
const NEAR = 1000;

mkdirSync(values.out, { recursive: true });
const { folder, ring } = await ringOf(values.merged, values);
const texts = await devTexts(await taskNames(folder), values);
const answers = await directAnswers(folder, texts, { ...values, versions: ring.map(({ version }) => version) });
const tokens = path.join(values.out, `tokens-${process.pid}.json`);
const [token, admin] = [newToken(tokens, "client"), newToken(tokens, "admin", "--admin")];
const asked = { token, bodies: texts, answers, within: WITHIN };
const options = { ...values, merged: folder, flags: ["--tokens", tokens] };
const capacity = await capacityOf(options, asked, 20);
const flags = [...options.flags, ...values.flags.split(" ").filter(Boolean)];
const server = await serve({ ...options, flags, log: path.join(values.out, "updates.log") });
const job = { ...asked, url: server.url };
const { promise, end } = promises();

const change = async ({ version }) => {
  const response = await fetch(`${server.url}/admin/rollback`, {
    method: "POST",
    headers: { authorization: `Bearer ${admin}`, "content-type": "application/json" },
    body: JSON.stringify({ to: version }),
  });
  if (!response.ok) throw new Error(`the update to ${version}: ${await response.text()}`);
};

let turn = 0;
await change(ring.at(-1));
await load({ ...job, rate: 50, seconds: 2 }); // warms it
console.log(
  `${os.cpus()[0]?.model}, ${os.availableParallelism()} cores, Node ${process.version}, load ${os.loadavg()[0]?.toFixed(1)}; ${values.weights}, ` +
    `${server.processes} processes of ${server.threads} threads: ${capacity.toFixed(0)} texts/s at most`,
);
for (const run of values.runs.split(",")) await underLoad(...run.split(":").map(Number));
const code = await server.stop();
promise("the server ends with 0", code === 0);
end();

async function underLoad(share, minutes, updates) {
  const records = path.join(values.out, "updates.jsonl");
  const began = Date.now();
  const until = began + minutes * 60_000;
  const memory = [];
  let running = true;
  const watching = (async () => {
    for (; running; await sleep(Math.min(10_000, minutes * 2000)))
      memory.push([Date.now() - began, await residentMegabytes(), privateMegabytes(server.pid)]);
  })();
  const loading = load({ ...job, rate: share * capacity, seconds: minutes * 60, records });
  const swaps = [];
  const every = (minutes * 60_000) / updates;
  for (let i = 0; i < updates; i++) {
    await sleep(Math.max(0, began + (i + 0.5) * every - Date.now()));
    if (Date.now() > until) break; // updates take longer than the run gives them
    const next = ring[turn++ % ring.length];
    const asked = Date.now();
    await change(next);
    swaps.push({ ...next, asked, confirmed: Date.now() });
  }
  const found = await loading;
  running = false;
  await watching;
  report({ share, minutes, updates, swaps, found, memory, answered: readRecords(records) });
}

async function residentMegabytes() {
  const found = await server.metrics(token);
  return (found.flexbert_http_process_resident_memory_bytes + found.flexbert_inference_resident_bytes) / 1e6;
}

function readRecords(file) {
  const lines = readFileSync(file, "utf8").trimEnd().split("\n");
  return lines.map((line) => JSON.parse(line));
}

function report({ share, minutes, updates, swaps, found, memory, answered }) {
  const isNear = nearSwaps(swaps);
  const near = answered.filter(([sent, took]) => isNear(sent, took)).map(([, took]) => took);
  const far = answered.filter(([sent, took]) => !isNear(sent, took)).map(([, took]) => took);
  const stale = answered.filter(([sent, took, , versions]) => versions && isStale(swaps, sent, took, versions)).length;
  const took = swaps.map(({ asked, confirmed }) => confirmed - asked);
  const ratio = percentile(near, 0.99) / percentile(far, 0.99);
  console.log(
    `at ${Math.round(100 * share)} % for ${minutes} minutes: ${found.perSecond.toFixed(0)} texts/s, P50 ${ms(found.p50)}, P99 ${ms(found.p99)} ms, ${JSON.stringify(found.statuses)}; ` +
      `${swaps.length} updates, each ${percentile(took, 0.5)} ms (median; most ${Math.max(...took)}); around them P99 ${ms(percentile(near, 0.99))} ms of ${near.length}, else ` +
      `${ms(percentile(far, 0.99))} of ${far.length}; memory ${memory[0][1].toFixed(0)}, then ${memory.at(-1)[1].toFixed(0)} MB`,
  );
  if (found.first) console.log(JSON.stringify(found.first));
  const failed = Object.entries({ ...found.statuses, ...found.errors }).filter(([status]) => status !== "200");
  promise(`all ${updates} updates came through`, swaps.length === updates);
  promise(`0 failed: ${JSON.stringify(Object.fromEntries(failed))}`, failed.length === 0);
  promise(`${found.wrong + found.partial} wrong, of none`, found.wrong + found.partial === 0);
  promise(`${stale} old after a swap was confirmed, of none`, stale === 0);
  if (share === 0.5)
    promise(`around swaps P99 is ${ratio.toFixed(2)} times that of the rest, at most 1.2`, ratio <= 1.2);
  printPrivate(memory, minutes);
  const kept = memory.filter(([at]) => at >= Math.min(5 * 60_000, minutes * 20_000));
  const growth = growthOf(kept);
  promise(
    `memory's slope makes ${(100 * growth).toFixed(2)} % of it, less than 1, from minute ${(kept[0][0] / 60_000).toFixed(1)} on`,
    growth < 0.01,
  );
}

/** Of each process what it shares with nobody, over the run: whose memory it is that grows. */
function printPrivate(memory, minutes) {
  const rows = Array.from({ length: 11 }, (_, i) => memory[Math.round((i / 10) * (memory.length - 1))]);
  for (const [name] of rows[0][2]) {
    const over = rows.map(([, , found]) => found.find(([one]) => one === name)?.[1].toFixed(0) ?? "ended");
    console.log(`  ${name}, private MB every ${(minutes / 10).toFixed(1)} minutes: ${over.join(", ")}`);
  }
}

/** Whether a request was under way within a second of a swap. */
function nearSwaps(swaps) {
  return (sent, took) => swaps.some(({ asked, confirmed }) => sent + took > asked - NEAR && sent < confirmed + NEAR);
}

/** Whether a task answered by another version than was current when the request was sent, or became so while it was under way. */
function isStale(swaps, sent, took, versions) {
  return Object.entries(versions).some(([task, version]) => {
    // Clocks of whole milliseconds.
    const current = swaps.findLast(({ confirmed }) => confirmed + 2 <= sent);
    const coming = swaps.filter(({ asked, confirmed }) => confirmed + 2 > sent && asked <= sent + took);
    return current !== undefined && ![current, ...coming].some(({ versions: all }) => all[task] === version);
  });
}

/** Of the line through points [ms, megabytes]: its rise over them, as a part of their mean. */
function growthOf(points) {
  const mean = (of) => points.reduce((sum, point) => sum + of(point), 0) / points.length;
  const [at, height] = [mean(([x]) => x), mean(([, y]) => y)];
  const slope = mean(([x, y]) => (x - at) * (y - height)) / mean(([x]) => (x - at) ** 2);
  return (slope * (points.at(-1)[0] - points[0][0])) / height;
}
