// Requests that come together, and turns of the event loop.

import type { IncomingMessage, ServerResponse } from "node:http";
import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "@jest/globals";
import { arrivalOf, oneATurn } from "../../../src/serve/http/arrivals";

const requests = (count: number) => Array.from({ length: count }, () => ({}) as IncomingMessage);
const answer = (destroyed = false) => ({ destroyed }) as ServerResponse;

test("of those that come together one is begun at once, and one in each turn after it", async () => {
  const begun: IncomingMessage[] = [];
  const take = oneATurn((request) => void begun.push(request));
  const all = requests(3);
  for (const request of all) take(request, answer());
  for (const count of [1, 2, 3, 3]) {
    expect(begun).toEqual(all.slice(0, count));
    await turn();
  }
  const [late] = requests(1) as [IncomingMessage];
  take(late, answer());
  expect(begun.at(-1)).toBe(late);
});

test("one whose client went meanwhile is not begun", async () => {
  const begun: IncomingMessage[] = [];
  const take = oneATurn((request) => void begun.push(request));
  const [first, gone, last] = requests(3) as [IncomingMessage, IncomingMessage, IncomingMessage];
  take(first, answer());
  take(gone, answer(true));
  take(last, answer());
  for (let i = 0; i < 3; i++) await turn();
  expect(begun).toEqual([first, last]);
});

test("a request came when it was handed over, not when it was begun", async () => {
  const take = oneATurn(() => undefined);
  const [first, second] = requests(2) as [IncomingMessage, IncomingMessage];
  take(first, answer());
  take(second, answer());
  const at = arrivalOf(second);
  await turn();
  expect(arrivalOf(second)).toBe(at);
  expect(at).toBeLessThanOrEqual(performance.now());
});
