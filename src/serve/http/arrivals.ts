// Requests that come together are begun one in a turn of the event loop. Node hands over in one turn what every connection sent, and of
// more than the server can do each would wait for the refusals of all others, and so would timers and answers that are ready.

import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";

const arrivals = new WeakMap<IncomingMessage, number>();

/** When a request's head had been read, as performance.now() counts; now for one that did not come through {@link oneATurn}. */
export const arrivalOf = (request: IncomingMessage): number => arrivals.get(request) ?? performance.now();

export function oneATurn(begin: RequestListener): RequestListener {
  const waiting: (readonly [IncomingMessage, ServerResponse])[] = [];
  let hasBegun = false;
  const next = (): void => {
    const first = waiting.shift();
    hasBegun = first !== undefined;
    if (!first) return;
    setImmediate(next);
    // Of one whose client is gone nobody would hear the end.
    if (!first[1].destroyed) begin(...(first as Parameters<RequestListener>));
  };
  return (request, response) => {
    arrivals.set(request, performance.now());
    if (hasBegun) return void waiting.push([request, response]);
    hasBegun = true;
    setImmediate(next);
    begin(request, response);
  };
}
