// A local HTTP server for tests of downloads: files with etags and ranges, and the faults that networks have.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { bytesIn, until } from "../until";

export interface ServedFile {
  readonly content: Buffer;
  readonly headers?: Readonly<Record<string, string>>;
  /** Answers 200 with the whole file whatever Range says. */
  readonly ignoreRange?: boolean;
  /** Bytes after which the connection breaks: when they have arrived in this file of the receiver's. */
  readonly breakAfter?: { readonly bytes: number; readonly arrivedIn: string };
  /** Bytes after which nothing comes any more. */
  readonly stallAfter?: number;
}

export type Answer = ServedFile | { readonly status: number; readonly headers?: Readonly<Record<string, string>> };

export interface FileServer {
  readonly url: string;
  readonly requests: IncomingMessage[];
  close(): Promise<void>;
}

/** Answers each request by what `answer` gives for its path, after query and origin; 404 for undefined. */
export async function startFileServer(
  answer: (path: string, request: IncomingMessage) => Answer | undefined,
): Promise<FileServer> {
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    requests.push(request);
    const found = answer(request.url ?? "", request) ?? { status: 404 };
    if ("status" in found) response.writeHead(found.status, found.headers).end("no file");
    else sendFile(found, request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function sendFile(file: ServedFile, request: IncomingMessage, response: ServerResponse): void {
  const { content, headers, ignoreRange, breakAfter, stallAfter } = file;
  const start = ignoreRange ? null : (/^bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? null);
  const from = start === null ? 0 : Number(start);
  if (start !== null && from >= content.length) {
    response.writeHead(416, { "content-range": `bytes */${content.length}` }).end();
    return;
  }
  const range = start === null ? {} : { "content-range": `bytes ${from}-${content.length - 1}/${content.length}` };
  response.writeHead(start === null ? 200 : 206, { ...headers, ...range, "content-length": content.length - from });
  const stop = breakAfter?.bytes ?? stallAfter;
  if (stop === undefined) {
    response.end(content.subarray(from));
    return;
  }
  response.write(content.subarray(from, from + stop), () => {
    if (breakAfter === undefined) return;
    void until(() => bytesIn(breakAfter.arrivedIn) >= from + breakAfter.bytes).then(() => response.destroy());
  });
}
