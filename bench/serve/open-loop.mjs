// Load at a rate: requests go out at random times, whether or not those before were answered, and their time counts from when they were due.
// autocannon's own rate sends what a second has at the second's beginning.
import { setTimeout as sleep } from "node:timers/promises";
import { openConnections } from "./connections.mjs";

/** @param onAnswer of body number, ms, status and text. @returns errors by their kind: of requests without an answer */
export async function openLoop({ url, headers, bodies, rate, seconds }, onAnswer) {
  const connections = openConnections(url, headers);
  const errors = {};
  const running = new Set();
  const send = async (body, due) => {
    try {
      const { status, text } = await connections.post(bodies[body]);
      onAnswer(body, performance.now() - due, status, text);
    } catch ({ code }) {
      errors[code] = (errors[code] ?? 0) + 1;
    }
  };
  const end = performance.now() + 1000 * seconds;
  for (let [i, due] = [0, performance.now()]; due < end; i++, due += (-Math.log(1 - Math.random()) * 1000) / rate) {
    const early = due - performance.now();
    if (early > 0) await sleep(early);
    const sent = send(i % bodies.length, due).finally(() => running.delete(sent));
    running.add(sent);
  }
  await Promise.race([Promise.all(running), sleep(60_000)]);
  if (running.size > 0) errors["no answer in 60 s"] = running.size;
  connections.end();
  return errors;
}
