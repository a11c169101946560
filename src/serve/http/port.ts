// The port: who listens, how long a client may take, and what is answered before the model is there and to what is no HTTP.
// It is taken first of all, so that one in use is told at once, and /healthz answers while the model loads.

import { randomUUID } from "node:crypto";
import { createServer, type RequestListener, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { setTimeout } from "node:timers/promises";
import { failure, oneLine, usageError } from "../../errors/errors";
import { oneATurn } from "./arrivals";
import { ApiError, errorBody } from "./errors";

export interface PortOptions {
  readonly host: string;
  /** 0 for any that is free. */
  readonly port: number;
  /** Certificate and key, PEM; null for plain HTTP. */
  readonly tls: { readonly cert: string; readonly key: string } | null;
}

export interface Port {
  readonly url: string;
  readonly port: number;
  /** Who will answer. @returns the server, for Fastify */
  readonly take: (handler: RequestListener) => Server;
  /** From now on. */
  begin(): void;
  /**
   * Waits for clients to end their connections, listens no more, answers what had come until then, and ends the connections that are left
   * after some time. @param idle when no request is open
   */
  close(idle: () => Promise<void>): Promise<void>;
  /** Ends every connection at once. */
  cut(): void;
}

/** Ends what sends its request slower than this, in ms. */
const REQUEST_MS = 30_000;
const HEADERS_MS = 10_000;
/** Longer than those of load balancers (60 s of AWS's and nginx's), so that they end connections and not we. */
const KEEP_ALIVE_MS = 75_000;
/** Clients were told to close: what they had sent before is answered. Once while the port listens, once more of those who had just come. */
const LINGER_MS = 1000;

/** Throws failure (1) for a port that is taken, usageError (2) for an address or files that are none. */
export async function openPort({ host, port, tls }: PortOptions): Promise<Port> {
  let [answer, taken] = [answerEarly, answerEarly];
  const options = { requestTimeout: REQUEST_MS, headersTimeout: HEADERS_MS, keepAliveTimeout: KEEP_ALIVE_MS };
  const onRequest = oneATurn((request, response) => answer(request, response));
  const server = tls ? secureServer(tls, options, onRequest) : createServer(options, onRequest);
  server.on("clientError", onClientError);
  await listen(server, host, port);
  const { port: listening, address, family } = server.address() as AddressInfo;
  const name = family === "IPv6" ? `[${address}]` : address;
  return {
    url: `${tls ? "https" : "http"}://${name}:${listening}`,
    port: listening,
    take(handler) {
      taken = handler;
      return server as Server;
    },
    begin() {
      answer = taken;
    },
    async close(idle) {
      await emptied(server as Server);
      const closed = new Promise((resolve) => server.close(resolve));
      await idle();
      await emptied(server as Server); // a request that is not read yet is open to nobody
      server.closeAllConnections(); // those without a request, too, which browsers open ahead
      await closed;
    },
    cut: () => server.closeAllConnections(),
  };
}

function secureServer(
  tls: { readonly cert: string; readonly key: string },
  options: object,
  listener: RequestListener,
) {
  try {
    return createTlsServer({ ...options, ...tls }, listener);
  } catch (error) {
    throw usageError(`--tls-cert and --tls-key are no certificate and its key (${oneLine(error)})`);
  }
}

/** When no connection is left, or after {@link LINGER_MS}. */
async function emptied(server: Server): Promise<void> {
  const until = performance.now() + LINGER_MS;
  while ((await connections(server)) > 0 && performance.now() < until) await setTimeout(20);
}

const connections = (server: Server): Promise<number> =>
  new Promise((resolve) => server.getConnections((error, count) => resolve(error ? 0 : count)));

function listen(server: Pick<Server, "once" | "off" | "listen">, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = ({ code, message }: NodeJS.ErrnoException) => {
      if (code === "EADDRINUSE") {
        reject(failure(`port ${port} of ${host} is in use. Give another with --port, or 0 for any that is free`));
      } else if (code === "EACCES") {
        reject(failure(`port ${port} of ${host} may not be used by you. Give one from 1024 on with --port`));
      } else reject(usageError(`${host} is no address to listen on (${message}). Give one with --host`));
    };
    server.once("error", onError);
    server.listen(port, host, () => {
      server.off("error", onError);
      resolve();
    });
  });
}

const answerEarly: RequestListener = (request, response) => {
  const alive = request.url === "/healthz" && request.method === "GET";
  const id = randomUUID();
  const error = new ApiError("not_ready", "the model is being opened. Try again in a moment");
  const body = JSON.stringify(alive ? { status: "alive" } : errorBody(error, id, request.url ?? ""));
  request.resume();
  response.writeHead(alive ? 200 : 503, {
    "content-type": "application/json; charset=utf-8",
    "content-length": Buffer.byteLength(body),
    "x-request-id": id,
    ...(alive ? {} : { "retry-after": "1" }),
  });
  response.end(body);
};

const statuses: Readonly<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
};
const phrases: Readonly<Record<number, string>> = {
  400: "Bad Request",
  408: "Request Timeout",
  413: "Payload Too Large",
  431: "Request Header Fields Too Large",
};

/** What is no HTTP, or too slow: there is no request to answer yet. */
function onClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  // Bytes of an answer that went out already would be taken for the beginning of this one.
  const begun = (socket as { _httpMessage?: { headersSent?: boolean } })._httpMessage?.headersSent === true;
  if (error.code === "ECONNRESET" || !socket.writable || begun) {
    socket.destroy();
    return;
  }
  const status = statuses[error.code ?? ""] ?? 400;
  const message =
    status === 408 ? "the request was not whole in time" : "this is no HTTP request that the server reads";
  const body = JSON.stringify({ error: { code: "bad_request", message, request_id: randomUUID() } });
  const head = [
    `HTTP/1.1 ${status} ${phrases[status]}`,
    "connection: close",
    "content-type: application/json; charset=utf-8",
    `content-length: ${Buffer.byteLength(body)}`,
  ];
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`);
}
