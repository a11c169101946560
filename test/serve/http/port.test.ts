// The port alone: HTTPS by files, what is answered before the model is there, and to what is no HTTP.

import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { request } from "node:https";
import { connect } from "node:net";
import path from "node:path";
import { text } from "node:stream/consumers";
import { expect, test } from "@jest/globals";
import { openPort } from "../../../src/serve/http/port";
import { unless } from "../../skips";
import { temporaryFolder } from "../../tiny";

const folder = temporaryFolder();
const [cert, key] = [path.join(folder, "cert.pem"), path.join(folder, "key.pem")];
const line = `req -x509 -newkey rsa:2048 -nodes -keyout ${key} -out ${cert} -days 2 -subj /CN=localhost`;
const made = spawnSync("openssl", line.split(" "), { encoding: "utf8" }).status === 0;
const idle = async () => undefined;

test("before the model is there it lives and is not ready, then whoever was given answers", async () => {
  const port = await openPort({ host: "127.0.0.1", port: 0, tls: null });
  const status = async (address: string) => {
    const response = await fetch(port.url + address);
    return [response.status, await response.json()];
  };
  expect(await status("/healthz")).toEqual([200, { status: "alive" }]);
  expect(await status("/readyz")).toMatchObject([503, { error: { code: "not_ready" } }]);
  expect(await status("/v2/health/ready")).toMatchObject([503, { code: "not_ready", error: expect.any(String) }]);
  port.take((_, response) => void response.end("{}"));
  expect((await status("/readyz"))[0]).toBe(503);
  port.begin();
  expect(await status("/readyz")).toEqual([200, {}]);
  port.cut();
  await port.close(idle);
});

test("who has connected before the end is answered, and not cut off; nobody else gets in", async () => {
  const port = await openPort({ host: "127.0.0.1", port: 0, tls: null });
  port.take((_, response) => void response.setHeader("connection", "close").end("taken"));
  port.begin();
  const socket = connect(port.port, "127.0.0.1");
  await once(socket, "connect");
  const closed = port.close(idle);
  // Listens no more: what is refused was not taken, and the client knows it.
  while (await accepts(port.port)) await new Promise(setImmediate);
  socket.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
  expect(await text(socket)).toMatch(/^HTTP\/1\.1 200 .*taken$/s);
  await closed;
});

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

test("what is no HTTP is told so, and cut off", async () => {
  const port = await openPort({ host: "127.0.0.1", port: 0, tls: null });
  const said = (bytes: string) =>
    new Promise<string>((resolve) => {
      const socket = connect(port.port, "127.0.0.1", () => socket.write(bytes));
      let answer = "";
      socket.on("data", (chunk) => {
        answer += chunk;
      });
      socket.on("close", () => resolve(answer));
    });
  expect(await said("\x16\x03\x01 hello\r\n\r\n")).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n.*"code":"bad_request"/s);
  expect(await said(`GET / HTTP/1.1\r\nhost: a\r\nx: ${"a".repeat(20_000)}\r\n\r\n`)).toMatch(/^HTTP\/1\.1 431 /);
  port.cut();
  await port.close(idle);
});

unless(!made && "openssl is absent").test("a certificate and its key make it HTTPS alone", async () => {
  const tls = { cert: readFileSync(cert, "utf8"), key: readFileSync(key, "utf8") };
  const port = await openPort({ host: "127.0.0.1", port: 0, tls });
  expect(port.url).toMatch(/^https:/);
  const status = await new Promise((resolve, reject) => {
    const options = { ca: tls.cert, servername: "localhost", checkServerIdentity: () => undefined };
    request(`${port.url}/healthz`, options, (response) => resolve(response.resume().statusCode))
      .on("error", reject)
      .end();
  });
  expect(status).toBe(200);
  port.cut();
  await port.close(idle);
});
