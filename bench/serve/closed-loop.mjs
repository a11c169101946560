// Load by autocannon's API: each connection asks again as soon as it is answered. For what a server can do at most.
import { createRequire } from "node:module";

const autocannon = createRequire(import.meta.url)("autocannon");

/** @param onAnswer of body number, ms, status and text. @returns errors by their kind */
export function closedLoop({ url, headers, bodies, connections, seconds }, onAnswer) {
  let next = 0;
  // One request that takes the next body each time: a list of them would be copied for every connection.
  const request = {
    setupRequest(asked, context) {
      context.body = next++ % bodies.length;
      context.sent = performance.now();
      return { ...asked, body: bodies[context.body] };
    },
    onResponse(status, text, { body, sent }) {
      onAnswer(body, performance.now() - sent, status, text);
    },
  };
  return new Promise((resolve, reject) => {
    const settings = { url, headers, connections, duration: seconds, timeout: 60, method: "POST", requests: [request] };
    autocannon(settings, (error, { errors, timeouts }) => (error ? reject(error) : resolve({ errors, timeouts })));
  });
}
