// The client of the serving benches, a process of its own: autocannon's API against one address. Told by a line of JSON on stdin:
// {"url", "bodies": [...], "answers": [...], "connections", "seconds", "rate"}; answers a line of JSON. A body's answer is compared with
// the one that was computed directly: labels alike, numbers within `within`.
import { createRequire } from "node:module";
import { showUsage } from "../usage.mjs";

const require = createRequire(import.meta.url);
const autocannon = require("autocannon");

showUsage(import.meta.url);

let text = "";
for await (const data of process.stdin) text += data;
const { url, bodies, answers, connections, seconds, rate, within } = JSON.parse(text);

const statuses = {};
let [wrong, first] = [0, null];
/** Milliseconds of every answer with status 200. */
const times = [];

function matches(found, expected) {
  return Object.entries(expected).every(([task, prediction]) => {
    const got = found[task];
    if (!got || got.label !== prediction.label) return false;
    const [a, b] = [got.value ?? got.score, prediction.value ?? prediction.score];
    return Math.abs(a - b) <= within;
  });
}

const instance = autocannon(
  {
    url,
    connections,
    duration: seconds,
    timeout: 60,
    method: "POST",
    headers: { "content-type": "application/json" },
    ...(rate ? { overallRate: rate } : {}),
    requests: bodies.map((body, i) => ({
      body: JSON.stringify(body),
      onResponse(status, answer) {
        statuses[status] = (statuses[status] ?? 0) + 1;
        if (status !== 200) return;
        if (matches(JSON.parse(answer).predictions, answers[i])) return;
        wrong++;
        first ??= { body, answer, expected: answers[i] };
      },
    })),
  },
  (error, result) => {
    if (error) throw error;
    times.sort((a, b) => a - b);
    const at = (share) => times[Math.min(times.length - 1, Math.floor(share * times.length))];
    const measured = {
      ...{ statuses, wrong, first, errors: result.errors, timeouts: result.timeouts },
      ...{ seconds: result.duration, p50: at(0.5), p90: at(0.9), p99: at(0.99), most: times.at(-1) },
    };
    process.stdout.write(`${JSON.stringify(measured)}\n`);
  },
);
instance.on("response", (_client, status, _bytes, ms) => {
  if (status === 200) times.push(ms);
});
