import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "@jest/globals";
import { failure, modelError } from "../../../src/errors/errors";
import { newToken, readTokens, type TokenEntry } from "../../../src/serve/http/tokens";
import { temporaryFolder } from "../../tiny";
import { fakeServer } from "../fake";

const sha256 = (token: string) => createHash("sha256").update(token).digest("hex");
const entry = (name: string, role: TokenEntry["role"]): TokenEntry => ({
  name,
  role,
  sha256: sha256(name),
  created: "",
});
const tokens = [entry("ci", "predict"), entry("boss", "admin")];
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const rows = { text: "film" };

describe("tokens", () => {
  const folder = temporaryFolder();

  test("are stored as hashes alone, each under a name of its own", async () => {
    const file = path.join(folder, "tokens.json");
    expect(await readTokens(file)).toBe(null);
    const [ci, boss] = [await newToken(file, "ci", "predict"), await newToken(file, "boss", "admin")];
    expect(ci).toMatch(/^fb_[\w-]{43}$/);
    expect(ci).not.toBe(boss);
    expect(readFileSync(file, "utf8")).not.toMatch(/fb_/);
    expect(await readTokens(file)).toEqual([
      { name: "ci", role: "predict", sha256: sha256(ci), created: expect.any(String) },
      { name: "boss", role: "admin", sha256: sha256(boss), created: expect.any(String) },
    ]);
    await expect(newToken(file, "ci", "admin")).rejects.toThrow("has a token ci already");
    await expect(newToken(file, "a b", "admin")).rejects.toThrow('cannot be called "a b"');
    expect((await readTokens(file))?.length).toBe(2);
  });

  test("made at the same time are all kept", async () => {
    const file = path.join(folder, "many.json");
    const names = ["a", "b", "c", "d"];
    await Promise.all(names.map((name) => newToken(file, name, "predict")));
    expect((await readTokens(file))?.map(({ name }) => name).sort()).toEqual(names);
  });

  test.each([
    "",
    "[]",
    "{}",
    '{"tokens":[{}]}',
    '{"tokens":[{"name":"a","role":"root","sha256":"00"}]}',
    '{"format":9,"tokens":[]}',
  ])("a file that says %j is refused, and not taken for none", async (text) => {
    const file = path.join(folder, "broken.json");
    writeFileSync(file, text);
    await expect(readTokens(file)).rejects.toMatchObject({ exitCode: 2 });
  });
});

describe("access", () => {
  const open = ["/healthz", "/readyz", "/openapi.json", "/v2/health/live", "/v2/health/ready"];
  const closed = ["/v1/model", "/v1/stats", "/metrics", "/v2", "/v2/models/mood", "/nothing"];
  const admin = [
    ["GET", "/v1/history"],
    ["POST", "/admin/reload"],
    ["POST", "/admin/rollback"],
  ] as const;

  test("with tokens, health is open, the rest takes one, and changing takes an admin's", async () => {
    const server = await fakeServer({ tokens });
    server.inference.automatic = true;
    const status = async (method: "GET" | "POST", url: string, headers = {}) =>
      (await server.app.inject({ method, url, headers })).statusCode;
    for (const url of open) expect([url, await status("GET", url)]).toEqual([url, 200]);
    for (const url of closed) {
      const expected = url === "/nothing" ? 404 : 200;
      const found = [
        await status("GET", url),
        await status("GET", url, bearer("ci")),
        await status("GET", url, bearer("boss")),
      ];
      expect([url, ...found]).toEqual([url, 401, expected, expected]);
    }
    for (const [method, url] of admin) {
      const found = [
        await status(method, url),
        await status(method, url, bearer("ci")),
        await status(method, url, bearer("boss")),
      ];
      expect([url, ...found]).toEqual([url, 401, 403, 200]);
    }
    const predict = async (headers: Record<string, string>) => {
      const answer = await server.app.inject({ method: "POST", url: "/v1/predict", payload: rows, headers });
      return [answer.statusCode, answer.headers["www-authenticate"]];
    };
    expect(await predict(bearer("ci"))).toEqual([200, undefined]);
    for (const headers of [{}, bearer("other"), bearer(""), { authorization: "Basic Y2k6" }, { authorization: "ci" }]) {
      expect(await predict(headers as Record<string, string>)).toEqual([401, "Bearer"]);
    }
    server.context.auth.replace([entry("boss", "admin")]);
    expect((await predict(bearer("ci")))[0]).toBe(401);
    await server.close();
  });

  test("what had tokens opens to nobody when the last one is taken out", async () => {
    const server = await fakeServer();
    server.inference.automatic = true;
    const predict = async (headers = {}) =>
      (await server.app.inject({ method: "POST", url: "/v1/predict", payload: rows, headers })).statusCode;
    expect(await predict()).toBe(200);
    server.context.auth.replace([entry("ci", "predict")]);
    expect([await predict(), await predict(bearer("ci"))]).toEqual([401, 200]);
    server.context.auth.replace([]);
    expect([await predict(), await predict(bearer("ci"))]).toEqual([401, 401]);
    expect((await server.app.inject({ method: "GET", url: "/healthz" })).statusCode).toBe(200);
    await server.close();
    const emptied = await fakeServer({ tokens: [] }); // and was started again
    expect((await emptied.app.inject({ method: "POST", url: "/v1/predict", payload: rows })).statusCode).toBe(401);
    await emptied.close();
  });

  test("without tokens, predicting is open, and changing is closed", async () => {
    const server = await fakeServer();
    server.inference.automatic = true;
    for (const [method, url] of admin) {
      const answer = await server.app.inject({ method, url, headers: bearer("any") });
      expect([answer.statusCode, answer.json().error.message]).toEqual([
        403,
        expect.stringMatching(/--new-token NAME --admin/),
      ]);
    }
    expect((await server.app.inject({ method: "POST", url: "/v1/predict", payload: rows })).statusCode).toBe(200);
    await server.close();
  });

  test("a server on loopback without tokens answers to names of this machine alone", async () => {
    const server = await fakeServer({ localNamesOnly: true });
    const status = async (host: string) =>
      (await server.app.inject({ method: "GET", url: "/v1/model", headers: { host } })).statusCode;
    for (const host of ["localhost:80", "LOCALHOST", "127.0.0.1:8080", "[::1]:1"]) expect(await status(host)).toBe(200);
    for (const host of ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "127.0.0.1:80:1"]) {
      expect([host, await status(host)]).toEqual([host, 421]);
    }
    await server.close();
  });

  test("no origin may ask by default, and one that was named may", async () => {
    const preflight = { method: "OPTIONS", url: "/v1/predict", headers: { origin: "https://a.example" } } as const;
    const asked = { method: "GET", url: "/v1/model", headers: { origin: "https://a.example" } } as const;
    const header = "access-control-allow-origin";
    const off = await fakeServer();
    expect((await off.app.inject(preflight)).headers[header]).toBe(undefined);
    expect((await off.app.inject(asked)).headers[header]).toBe(undefined);
    await off.close();
    const on = await fakeServer({ origins: ["https://a.example"], tokens });
    const answer = await on.app.inject(preflight);
    expect([answer.statusCode, answer.headers[header], answer.headers["access-control-allow-headers"]]).toEqual([
      ...[204, "https://a.example"],
      expect.stringContaining("authorization"),
    ]);
    // That it is not allowed in is for the page to see, too.
    const refused = await on.app.inject(asked);
    expect([refused.statusCode, refused.headers[header]]).toEqual([401, "https://a.example"]);
    const other = await on.app.inject({ ...preflight, headers: { origin: "https://b.example" } });
    expect(other.headers[header]).toBe(undefined);
    await on.close();
  });
});

describe("an admin", () => {
  test("reloads, is told what changed, and why a version is refused, without paths", async () => {
    const server = await fakeServer({ tokens });
    const reload = () => server.app.inject({ method: "POST", url: "/admin/reload", headers: bearer("boss") });
    expect((await reload()).json()).toEqual({ version: "11111111", changed: false });
    server.source.current = "22222222";
    expect((await reload()).json()).toEqual({
      ...{ version: "22222222", changed: true, from: "11111111", tasks: ["mood"], removed: [], ms: expect.any(Number) },
    });
    server.inference.onOpen = async () => {
      throw modelError("/srv/models/merged/blobs/mood-a1.safetensors has sha256 00, the manifest says 11");
    };
    server.source.current = "11111111";
    const { statusCode, body } = await reload();
    expect([statusCode, JSON.parse(body).error.code]).toEqual([409, "version_refused"]);
    expect(JSON.parse(body).error.message).toMatch(/version 11111111 is refused.*: mood-a1\.safetensors has sha256 00/);
    const stats = await server.app.inject({ method: "GET", url: "/v1/stats", headers: bearer("ci") });
    expect(stats.json()).toMatchObject({
      swaps: 1,
      refused: { version: "11111111" },
      versions: [{ version: "22222222" }],
    });
    expect(body + stats.body).not.toMatch(/srv|models/);
    await server.close();
  });

  test("rolls back, where the server is not pinned and the version is there", async () => {
    const wanted: (string | undefined)[] = [];
    const folder = {
      async rollback(to: string | undefined) {
        wanted.push(to);
        if (to === "gone")
          throw modelError("/srv/merged has no version gone. Run: flexbert history --merged /srv/merged");
        if (to === "busy") throw failure("/srv/merged is in use by process 42 (updating). Wait for it or stop it");
        server.source.current = "22222222";
      },
    };
    const server = await fakeServer({ tokens, folder });
    const post = (payload?: object) =>
      server.app.inject({
        method: "POST",
        url: "/admin/rollback",
        headers: bearer("boss"),
        ...(payload && { payload }),
      });
    expect((await post()).json()).toMatchObject({ version: "22222222", changed: true, from: "11111111" });
    expect((await post({ to: "stable" })).json()).toMatchObject({ changed: false });
    const gone = await post({ to: "gone" });
    expect([gone.statusCode, gone.json().error.message]).toEqual([
      404,
      "merged has no version gone. Run: flexbert history --merged merged",
    ]);
    const busy = await post({ to: "busy" });
    expect([busy.statusCode, busy.json().error]).toMatchObject([
      503,
      { code: "not_changed", message: "merged is in use by process 42 (updating). Wait for it or stop it" },
    ]);
    for (const body of [{ to: 5 }, { version: "x" }, ["x"]]) expect((await post(body)).statusCode).toBe(422);
    expect(wanted).toEqual([undefined, "stable", "gone", "busy"]);
    await server.close();
    const pinned = await fakeServer({ tokens, pinned: "stable", folder });
    const refused = await pinned.app.inject({ method: "POST", url: "/admin/rollback", headers: bearer("boss") });
    expect([refused.statusCode, refused.json().error.code, wanted.length]).toEqual([409, "pinned", 4]);
    await pinned.close();
  });
});
