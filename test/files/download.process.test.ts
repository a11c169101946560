import { createHash, randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { connect, createServer as createTcpServer } from "node:net";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { ExitCode } from "../../src/errors/errors";
import { type DownloadRequest, download, UnreachableError } from "../../src/files/download";
import { type NetworkLimits, openNetwork, StatusError } from "../../src/files/network";
import { type Answer, type FileServer, startFileServer } from "./file-server";
import { temporaryFolder } from "./temporary-folder";

const content = randomBytes(300_000);
const sha256 = createHash("sha256").update(content).digest("hex");
const quick: Partial<NetworkLimits> = { attempts: 3, backoffMs: 5, connectMs: 60_000 };

let folder: string;
let target: string;
let server: FileServer | undefined;
beforeEach(() => {
  process.env["NO_PROXY"] = process.env["no_proxy"] = "127.0.0.1";
  folder = temporaryFolder();
  target = path.join(folder, "model.bin");
});
afterEach(async () => {
  await server?.close();
  server = undefined;
});

/** Answers the n-th request with the n-th answer, the last one again and again. */
async function serve(...answers: Answer[]): Promise<string> {
  let next = 0;
  server = await startFileServer(() => answers[Math.min(next++, answers.length - 1)]);
  return `${server.url}/model.bin`;
}

async function get(request: Omit<DownloadRequest, "target">, limits: Partial<NetworkLimits> = quick) {
  const network = await openNetwork(limits);
  try {
    return await download({ ...request, target }, network);
  } finally {
    await network.close();
  }
}

const etag = (value: string) => ({ etag: `"${value}"` });
/** The connection breaks when these bytes have arrived. */
const breakAfter = (bytes: number) => ({ breakAfter: { bytes, arrivedIn: `${target}.part` } });
const ranges = () => server?.requests.map(({ headers }) => headers.range ?? null);

/** What an interrupted download leaves. */
function leavePart(bytes: Buffer, identity: string): void {
  writeFileSync(`${target}.part`, bytes);
  writeFileSync(`${target}.part.etag`, identity);
}

function expectComplete(): void {
  expect(readFileSync(target).equals(content)).toBe(true);
  expect(readdirSync(folder)).toEqual(["model.bin"]);
}

test("fetches a file, says how far it is, and checks the pinned hash", async () => {
  const url = await serve({ content });
  const seen: [number, number | null][] = [];
  await get({ url, sha256, onProgress: (received, total) => seen.push([received, total]) });
  expectComplete();
  expect(seen[0]).toEqual([0, content.length]);
  expect(seen.at(-1)).toEqual([content.length, content.length]);
});

describe("an interrupted download", () => {
  test("goes on where the connection broke", async () => {
    const url = await serve({ content, headers: etag("a"), ...breakAfter(100_000) }, { content, headers: etag("a") });
    await get({ url, sha256 });
    expectComplete();
    expect(ranges()).toEqual([null, "bytes=100000-"]);
  });

  test("goes on in another process's part", async () => {
    leavePart(content.subarray(0, 1234), "a");
    const url = await serve({ content, headers: etag("a") });
    const seen: number[] = [];
    await get({ url, sha256, onProgress: (received) => seen.push(received) });
    expectComplete();
    expect(ranges()).toEqual(["bytes=1234-"]);
    expect(seen[0]).toBe(1234);
  });

  test("starts over where the server ignores Range", async () => {
    leavePart(Buffer.alloc(1234), "a");
    await get({ url: await serve({ content, headers: etag("a"), ignoreRange: true }), sha256 });
    expectComplete();
  });

  test("starts over where the content changed", async () => {
    leavePart(Buffer.alloc(1234), "old");
    await get({ url: await serve({ content, headers: etag("new") }), sha256 });
    expectComplete();
    expect(ranges()).toEqual(["bytes=1234-", null]);
  });

  test("starts over where the part is longer than the file", async () => {
    leavePart(Buffer.alloc(content.length + 1), "a");
    await get({ url: await serve({ content, headers: etag("a") }), sha256 });
    expectComplete();
    expect(ranges()).toEqual([`bytes=${content.length + 1}-`, null]);
  });

  test.each([
    ["no etag", {}],
    ["a weak etag", { etag: 'W/"a"' }],
  ])("starts over where the server gives %s", async (_, headers) => {
    await get({ url: await serve({ content, headers, ...breakAfter(1000) }, { content, headers }), sha256 });
    expectComplete();
    expect(ranges()).toEqual([null, null]);
  });

  test("stays resumable when every attempt breaks, and counts only attempts that bring nothing", async () => {
    const breaking = { content, headers: etag("a"), ...breakAfter(1000) };
    const url = await serve(breaking, breaking, breaking, breaking, breaking, { ...breaking, ...breakAfter(0) });
    await expect(get({ url })).rejects.toBeInstanceOf(UnreachableError);
    expect(server?.requests.length).toBe(5 + 2);
    expect(existsSync(target)).toBe(false);
    expect(readFileSync(`${target}.part`).equals(content.subarray(0, 5000))).toBe(true);
  });

  test("stops on abort with the signal's reason, resumable", async () => {
    const controller = new AbortController();
    const url = await serve({ content, headers: etag("a"), stallAfter: 1000 });
    const reason = new Error("interrupted");
    const fetching = get({
      url,
      signal: controller.signal,
      onProgress: (received) => received >= 1000 && controller.abort(reason),
    });
    await expect(fetching).rejects.toBe(reason);
    expect(existsSync(target)).toBe(false);
    expect(readFileSync(`${target}.part.etag`, "utf8")).toBe("a");
  });
});

describe("a wrong hash is an error (exit 4), and nothing of it stays", () => {
  const other = createHash("sha256").update("other").digest("hex");
  const md5 = (bytes: string | Buffer) => createHash("md5").update(bytes).digest("base64");
  test.each<[string, string | undefined, Readonly<Record<string, string>>]>([
    ["the pinned one", other, {}],
    ["the hub's sha256 of a large file", undefined, { "x-linked-etag": `"${other}"` }],
    ["Google's md5", undefined, { "x-goog-hash": `crc32c=AAAAAA==,md5=${md5("other")}` }],
  ])("%s", async (_, pinned, headers) => {
    const url = await serve({ content, headers });
    const fetching = get({ url, ...(pinned ? { sha256: pinned } : {}) });
    await expect(fetching).rejects.toMatchObject({ exitCode: ExitCode.model });
    await expect(fetching).rejects.toThrow(/expected is .*\. It was removed; fetch it again$/);
    expect(readdirSync(folder)).toEqual([]);
    expect(server?.requests.length).toBe(1);
  });

  test("while right ones pass", async () => {
    const headers = { "x-linked-etag": `"${sha256}"`, "x-goog-hash": `crc32c=AAAAAA==,md5=${md5(content)}` };
    await get({ url: await serve({ content, headers }), sha256 });
    expectComplete();
  });
});

describe("answers that are no file", () => {
  test.each([401, 403, 404, 410])("%d is not tried again", async (status) => {
    await expect(get({ url: await serve({ status }) })).rejects.toMatchObject({ status });
    expect(server?.requests.length).toBe(1);
    expect(readdirSync(folder)).toEqual([]);
  });

  test.each([408, 429, 500, 503])("%d is tried again", async (status) => {
    await get({ url: await serve({ status, headers: { "retry-after": "0" } }, { status }, { content }), sha256 });
    expectComplete();
    expect(server?.requests.length).toBe(3);
  });

  test("an error in the middle of a resumed download leaves the part", async () => {
    leavePart(content.subarray(0, 1234), "a");
    await expect(get({ url: await serve({ status: 404 }) })).rejects.toBeInstanceOf(StatusError);
    expect(readFileSync(`${target}.part`).length).toBe(1234);
  });
});

describe("no answer", () => {
  test("from a server that stalls ends after the limit and goes on", async () => {
    const url = await serve({ content, headers: etag("a"), stallAfter: 1000 }, { content, headers: etag("a") });
    await get({ url, sha256 }, { ...quick, stallMs: 1000 });
    expectComplete();
    expect(ranges()).toEqual([null, "bytes=1000-"]);
  });

  test("from a closed port is one line with the cause and what to check (exit 1)", async () => {
    const url = await serve({ content });
    await server?.close();
    const fetching = get({ url });
    await expect(fetching).rejects.toMatchObject({ name: "UserError", exitCode: ExitCode.failure });
    await expect(fetching).rejects.toThrow(
      /^cannot fetch http:.*ECONNREFUSED.* \(tried 3 times\)\. Check the network, HTTPS_PROXY and HF_ENDPOINT$/,
    );
  });
});

describe("redirects", () => {
  test("are followed; credentials stay with the first origin, and its headers count", async () => {
    const store = await startFileServer(() => ({ content, headers: etag("the store's") }));
    const linked = { location: `${store.url}/blob`, "x-linked-etag": `"${sha256}"`, "x-repo-commit": "c0ffee" };
    try {
      const url = await serve({ status: 302, headers: linked });
      const first = await get({ url, headers: { authorization: "Bearer secret" } });
      expectComplete();
      expect(first.get("x-repo-commit")).toBe("c0ffee");
      expect(server?.requests[0]?.headers.authorization).toBe("Bearer secret");
      expect(store.requests[0]?.headers.authorization).toBeUndefined();
    } finally {
      await store.close();
    }
  });

  test("without end are an error", async () => {
    const url = await serve({ status: 302, headers: { location: "/model.bin" } });
    await expect(get({ url })).rejects.toThrow("redirects more than 5 times");
  });
});

test("a server that speaks no HTTP is one that cannot be reached", async () => {
  const mute = createTcpServer((socket) => socket.on("error", () => undefined).end("220 mail.example ready\r\n"));
  await new Promise<void>((resolve) => mute.listen(0, "127.0.0.1", resolve));
  const { port } = mute.address() as { port: number };
  try {
    await expect(get({ url: `http://127.0.0.1:${port}/` })).rejects.toMatchObject({
      exitCode: ExitCode.failure,
      message: expect.stringMatching(/^cannot fetch http:.* does not match the HTTP.*\(tried 3 times\)/),
    });
  } finally {
    mute.close();
  }
});

test("a disk without room is said before a byte is written (exit 1)", async () => {
  // The server promises more than any disk has and sends little.
  const promising = createServer((_, response) => {
    response.writeHead(200, { "content-length": 1e18 });
    response.write("x");
  });
  await new Promise<void>((resolve) => promising.listen(0, "127.0.0.1", resolve));
  const { port } = promising.address() as { port: number };
  try {
    await expect(get({ url: `http://127.0.0.1:${port}/` })).rejects.toMatchObject({
      exitCode: ExitCode.failure,
      message: expect.stringContaining("Free some space"),
    });
  } finally {
    promising.closeAllConnections();
    promising.close();
  }
});

describe("proxies", () => {
  const saved = { ...process.env };
  afterEach(() => {
    process.env = { ...saved };
  });

  test("HTTP_PROXY is used, NO_PROXY is not", async () => {
    const asked: string[] = [];
    const proxy = createServer((request, response) => {
      asked.push(`${request.method} ${request.url}`);
      response.writeHead(200, { "content-length": content.length }).end(content);
    });
    proxy.on("connect", (request, socket) => {
      asked.push(`CONNECT ${request.url}`);
      const [host = "", port] = (request.url ?? "").split(":");
      const upstream = connect(Number(port), host, () => {
        socket.write("HTTP/1.1 200 OK\r\n\r\n");
        upstream.pipe(socket).pipe(upstream);
      });
      upstream.on("error", () => socket.destroy());
      socket.on("error", () => upstream.destroy());
    });
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    const { port } = proxy.address() as { port: number };
    try {
      const url = await serve({ content });
      process.env["HTTP_PROXY"] = process.env["http_proxy"] = `http://127.0.0.1:${port}`;
      process.env["NO_PROXY"] = process.env["no_proxy"] = "";
      await get({ url, sha256 });
      expectComplete();
      expect(asked.length).toBe(1);
      process.env["NO_PROXY"] = process.env["no_proxy"] = "127.0.0.1";
      await get({ url, sha256 });
      expect(asked.length).toBe(1);
    } finally {
      proxy.closeAllConnections();
      proxy.close();
    }
  });
});
