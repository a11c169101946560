// The client of the serving benches, a process of its own (client.mjs starts it). stdin has a line of JSON:
// {"url", "token"?, "bodies", "answers", "within", "seconds", "connections" or "rate", "records"?}, stdout one: statuses, what was wrong, how long it
// took. With connections each of them asks again when it is answered; with a rate requests come at random times. Every answer is compared
// with one that was computed directly, of the task's version that it names: labels alike, numbers within `within`. `records` names a file
// for a line of each answer: [when it was sent, as Date.now() counts; ms; status; version of each task].
import { createWriteStream } from "node:fs";
import { showUsage } from "../usage.mjs";
import { closedLoop } from "./closed-loop.mjs";
import { openLoop } from "./open-loop.mjs";

showUsage(import.meta.url);

let text = "";
for await (const data of process.stdin) text += data;
const { url, token, bodies, answers, within, seconds, connections, rate, records } = JSON.parse(text);

const statuses = {};
let [wrong, partial, first] = [0, 0, null];
const times = [];
/** Half an hour's records are not for memory. */
const lines = records ? createWriteStream(records) : null;

/** "any" stands for a server that names no versions. */
function isRight(got, known) {
  const expected = known[got.version] ?? known.any;
  if (!expected) return false;
  const isNear = (a, b) => Math.abs(a - b) <= within;
  if (expected.value !== undefined) return isNear(got.value, expected.value);
  const [best, second] = Object.values(expected.scores).sort((a, b) => b - a);
  const mayDiffer = best - second <= 2 * within;
  return (got.label === expected.label || mayDiffer) && isNear(got.score, expected.score);
}

function onAnswer(body, ms, status, answer) {
  statuses[status] = (statuses[status] ?? 0) + 1;
  if (status !== 200) {
    lines?.write(`[${Math.round(Date.now() - ms)},${ms.toFixed(1)},${status}]\n`);
    return;
  }
  times.push(ms);
  const { predictions } = JSON.parse(answer);
  const tasks = Object.entries(answers[body]);
  const missing = tasks.some(([task]) => !predictions[task]);
  const right = !missing && tasks.every(([task, known]) => isRight(predictions[task], known));
  if (missing) partial++;
  else if (!right) wrong++;
  if (!right) first ??= { body: bodies[body], answer, expected: answers[body] };
  if (!lines) return;
  const versions = Object.fromEntries(Object.entries(predictions).map(([task, { version }]) => [task, version]));
  lines.write(`[${Math.round(Date.now() - ms)},${ms.toFixed(1)},200,${JSON.stringify(versions)}]\n`);
}

const headers = { "content-type": "application/json", ...(token ? { authorization: `Bearer ${token}` } : {}) };
const job = { url: `${url}/v1/predict`, headers, bodies: bodies.map((body) => JSON.stringify(body)), seconds };
const began = performance.now();
const errors = await (rate ? openLoop({ ...job, rate }, onAnswer) : closedLoop({ ...job, connections }, onAnswer));
const took = (performance.now() - began) / 1000;
times.sort((a, b) => a - b);
const at = (share) => times[Math.min(times.length - 1, Math.floor(share * times.length))] ?? null;
if (lines) await new Promise((resolve) => lines.end(resolve));
const found = { statuses, wrong, partial, first, errors, seconds: took, perSecond: times.length / took };
console.log(JSON.stringify({ ...found, p50: at(0.5), p99: at(0.99), most: at(1) }));
process.exit();
