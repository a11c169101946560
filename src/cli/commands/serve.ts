// flexbert serve: a merged folder over HTTP, and tokens for it.

import { setFlagsFromString } from "node:v8";
import { newServeToken, type ServeOptions, serve, serveOptions } from "../../api/serve";
import { usageError } from "../../errors/errors";
import { optional, toggle } from "../../options/option";
import { text } from "../../options/readers";
import { settingsOf } from "../../options/settings";
import { configOption } from "../../settings/call";
import { defineCommand } from "../command";
import type { Terminal } from "../terminal";

export const serveCommand = defineCommand({
  description:
    "Serves a merged folder over HTTP, all of its tasks in one pass: POST /v1/predict, the Open Inference Protocol under " +
    "/v2, a page at /, /metrics, /healthz, /readyz and /openapi.json. The engine runs in processes of its own. Rows of all " +
    "clients share batches, which no answer depends on; more than the server can do is refused with 429. What becomes " +
    "current in the folder (update, add, remove, rollback) is opened aside and takes over between two batches: no request " +
    "fails, and a version that cannot be served is refused. Another host than this machine needs tokens, of which " +
    "--new-token makes one: their hashes are stored, and admin tokens alone may reload and roll back. SIGTERM and Ctrl-C: " +
    "nothing new is taken, what was taken is answered. stdout has one line when the server is ready, stderr JSON lines.",
  options: {
    ...serveOptions,
    newToken: optional(text, {
      flag: "--new-token",
      value: "<name>",
      help: "make a token of this name, print it, and serve nothing",
      inConfig: false,
    }),
    admin: toggle({ flag: "--admin", help: "of --new-token: for an admin", inConfig: false }),
    ...configOption,
  },
  examples: [
    "serve --merged merged/",
    "serve --merged merged/ --version stable --port 9000 --workers 2 --threads 4",
    "serve --new-token ci --tokens tokens.json",
    "serve --merged merged/ --host 0.0.0.0 --tokens tokens.json --tls-cert cert.pem --tls-key key.pem",
    "serve --merged merged/ --port 0 --json",
  ],
  async run({ newToken, admin, ...values }, terminal) {
    if (newToken !== undefined) return makeToken(newToken, admin, values.tokens, terminal);
    if (admin) throw usageError("--admin is of --new-token: give both");
    const options = settingsOf(serveOptions, values) as ServeOptions;
    keepHeapSmall();
    const server = await serve(options, terminal);
    const { url, version, tasks, processes, threads } = server;
    if (terminal.json) terminal.print(JSON.stringify({ url, port: server.port, version, tasks, processes, threads }));
    else terminal.print(`${values.merged}, version ${version}, tasks ${tasks.join(", ") || "none"}: ${url}`);
    await aborted(terminal.signal);
    await server.close();
  },
});

/** V8 would let the heap grow to twice what is alive before it collects: over days of versions that looks like a leak. */
function keepHeapSmall(): void {
  setFlagsFromString("--heap-growing-percent=30");
}

async function makeToken(name: string, admin: boolean, tokens: string, terminal: Terminal): Promise<void> {
  const role = admin ? "admin" : "predict";
  const token = await newServeToken({ name, role, tokens });
  if (terminal.json) return terminal.printJson({ name, role, token, tokens });
  terminal.reporter.log(`${tokens} has the hash of the ${role} token ${name}; this is the only time that it is shown`);
  terminal.print(token);
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
