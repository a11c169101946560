// A server under requests that nobody of good will sends: it answers none with 5xx but 503 and 504, tells nothing of itself,
// lives, holds nothing of them afterwards, and is as it was. FLEXBERT_HOSTILE_REQUESTS says how many a share has.

import { connect } from "node:net";
import { setTimeout, setImmediate as turn } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import fc from "fast-check";
import { soakSeeds } from "../soak";
import { temporaryFolder } from "../tiny";
import { type Hostile, hostile } from "./hostile-requests";
import { type ServeProcess, startServe } from "./running-server";
import { twoVersions } from "./two-versions";

const REQUESTS = Number(process.env["FLEXBERT_HOSTILE_REQUESTS"] || 400);
const AT_ONCE = 16;
/** A connection that waits for more is cut off after this: the server itself waits longer. */
const WAIT_MS = 150;

const folder = temporaryFolder();
let server: ServeProcess;

beforeAll(async () => {
  const { merged } = await twoVersions(folder);
  server = await startServe([
    "--merged",
    merged,
    "--tokens",
    `${folder}/no-tokens.json`,
    "--workers",
    "1",
    "--threads",
    "1",
    "--cache",
    "1MB",
  ]);
});
afterAll(async () => {
  expect(await server.stop()).toBe(0);
});

/** What the server sent, as text. */
function send({ bytes, cuts, after }: Hostile): Promise<string> {
  const { port } = new URL(server.url);
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const socket = connect({ port: Number(port), host: "127.0.0.1", allowHalfOpen: true });
    const done = () => {
      socket.destroy();
      resolve(Buffer.concat(chunks).toString("latin1"));
    };
    socket.setTimeout(WAIT_MS, done);
    socket.on("data", (chunk) => void chunks.push(chunk));
    socket.on("error", done);
    socket.on("end", done);
    socket.on("close", done);
    socket.on("connect", async () => {
      const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
      for (const [i, from] of places.slice(0, -1).entries()) {
        if (!socket.destroyed) socket.write(bytes.subarray(from, places[i + 1]));
        await turn();
      }
      if (after === "end") socket.end();
      if (after === "gone") done();
    });
  });
}

const normal = async (): Promise<unknown> => {
  for (;;) {
    const response = await fetch(`${server.url}/v1/predict`, {
      ...{ method: "POST", headers: { "content-type": "application/json" } },
      body: JSON.stringify({ rows: [{ text: "a good film" }, { text: "a film", pair: "a good one" }] }),
    });
    if (response.status !== 429) return [response.status, await response.json()];
    await setTimeout(20);
  }
};

const figures = async () => {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  const value = (name: string) => Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1]);
  return {
    rss: value("flexbert_http_process_resident_memory_bytes"),
    queue: value("flexbert_queue_rows"),
    restarts: value("flexbert_inference_restarts"),
  };
};

test.each(soakSeeds.map((seed) => [seed]))("hostile requests, share %i", async (seed) => {
  const before = await normal();
  const statuses: Record<string, number> = {};
  const requests = fc.sample(hostile, { seed, numRuns: REQUESTS });
  const bad: string[] = [];
  let next = 0;
  const client = async () => {
    for (let request = requests[next++]; request; request = requests[next++]) {
      const answer = await send(request);
      for (const [, status = ""] of answer.matchAll(/^HTTP\/1\.1 (\d{3}) /gm)) {
        statuses[status] = (statuses[status] ?? 0) + 1;
        if (/^5/.test(status) && status !== "503" && status !== "504")
          bad.push(`${status}: ${request.bytes.toString("latin1").slice(0, 500)}`);
      }
      if (
        /\n {4}at |node_modules|\/dist\/|\.js:\d+/.test(answer.replaceAll(/"\/page[^"]*"/g, "")) ||
        answer.includes(folder)
      ) {
        bad.push(`tells of itself: ${answer.slice(0, 500)}`);
      }
    }
  };
  const start = await figures();
  await Promise.all(Array.from({ length: AT_ONCE }, client));
  expect(bad).toEqual([]);
  // Of those that were sent to be understood some were, and of each kind of refusal there is one.
  expect(Object.keys(statuses)).toEqual(expect.arrayContaining(["200", "400", "404", "415", "422"]));
  for (let left = (await figures()).queue; left > 0; left = (await figures()).queue) await setTimeout(20);
  expect(await normal()).toEqual(before);
  const end = await figures();
  expect([end.restarts, end.rss < start.rss + 100e6]).toEqual([start.restarts, true]);
});
