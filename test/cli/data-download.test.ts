// flexbert data download as a user runs it: what it says and how it ends. Whole downloads are test/data/glue/download.test.ts's.

import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { glueSources } from "../../src/data/glue/sources";
import { glueTasks } from "../../src/tasks/glue";
import { type Answer, type FileServer, startFileServer } from "../files/file-server";
import { temporaryFolder } from "../tiny";
import { bytesIn, until } from "../until";

const bin = path.join(__dirname, "../../bin/flexbert.js");
const cwd = temporaryFolder();
const environment = { ...process.env, FLEXBERT_CACHE: path.join(cwd, "cache"), NO_PROXY: "127.0.0.1", NO_COLOR: "1" };
let server: FileServer;
let answer: (url: string) => Answer | undefined;
beforeAll(async () => {
  server = await startFileServer((url) => answer(url));
});
afterAll(() => server.close());
beforeEach(() => {
  server.requests.length = 0;
});

/** Not spawnSync: the server runs in this process. */
function start(line: string, env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [bin, ...line.split(" ")], { cwd, env: { ...environment, ...env } });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (chunk) => {
    stdout += chunk;
  });
  child.stderr.on("data", (chunk) => {
    stderr += chunk;
  });
  const outcome = new Promise<{ status: number | null; stdout: string; stderr: string }>((resolve) =>
    child.on("close", (status) => resolve({ status, stdout, stderr })),
  );
  return { child, outcome };
}
const run = (line: string, env?: Record<string, string>) => start(line, env).outcome;

const rows = (count: number) => `index\tsentence1\tsentence2\tlabel\n${"0\ta\tb\tentailment\n".repeat(count)}`;

describe("flexbert data download", () => {
  test("a mirror without the files: every task's error, and what to put where", async () => {
    answer = () => undefined;
    const { status, stderr } = await run(`data download --task rte,mrpc --mirror ${server.url}`);
    expect(status).toBe(3);
    for (const { url } of server.requests) expect(url).toMatch(/RTE\.zip|msr_paraphrase_train\.txt/);
    expect(stderr).toMatch(/rte: http:\S+RTE\.zip answers 404/);
    expect(stderr).toMatch(/mrpc: http:\S+msr_paraphrase_train\.txt answers 404/);
    expect(stderr).toMatch(
      /https:\/\/dl\.fbaipublicfiles\.com\/glue\/data\/mrpc_dev_ids\.tsv {2}6\.2 kB {2}sha256 971d/,
    );
    expect(stderr).toMatch(/flexbert data download --task rte,mrpc --mirror FOLDER/);
    expect(stderr).toMatch(/glue-data.RTE.train\.tsv {2}2490 rows/);
    expect(existsSync(path.join(cwd, "glue-data"))).toBe(false);
  });

  test("the environment names the mirror; a web page is no zip; with --json the error is an object", async () => {
    answer = () => ({ content: Buffer.from("<html><body>Log in first</body></html>") });
    const { status, stdout, stderr } = await run("data download --task wnli --json", {
      FLEXBERT_GLUE_MIRROR: server.url,
    });
    expect(status).toBe(3);
    expect(JSON.parse(stdout)).toEqual([]);
    expect(JSON.parse(stderr).error).toEqual({
      exitCode: 3,
      message: expect.stringMatching(/is a web page, not WNLI\.zip/),
    });
  });

  test("a host that goes away ends it (1), with the errors before and what is left to put where", async () => {
    const other = await startFileServer((url) => {
      if (url.endsWith("RTE.zip")) return { content: Buffer.from("no zip") };
      setTimeout(() => void other.close(), 0);
      return { status: 503 };
    });
    const { status, stderr } = await run(`data download --task rte,wnli --mirror ${other.url}`);
    expect(status).toBe(1);
    expect(stderr).toMatch(/rte: .*RTE\.zip has 6 bytes/);
    expect(stderr).toMatch(/cannot fetch http:\S+WNLI\.zip/);
    expect(stderr).toMatch(/--task wnli --mirror FOLDER/);
  });

  test("killed midway, it goes on with the next bytes; nothing is under glue-data", async () => {
    const content = Buffer.alloc(100_000, "x");
    answer = () => ({ content, headers: { etag: '"a"' }, stallAfter: 40_000 });
    const { child, outcome } = start(`data download --task rte --mirror ${server.url}`);
    const part = path.join(cwd, "cache/glue/rte/RTE.zip.part");
    await until(() => bytesIn(part) === 40_000);
    child.kill("SIGKILL");
    await outcome;
    answer = () => ({ content, headers: { etag: '"a"' } });
    const { status, stderr } = await run(`data download --task rte --mirror ${server.url}`);
    expect(server.requests.at(-1)?.headers.range).toBe("bytes=40000-");
    expect([status, stderr]).toEqual([3, expect.stringMatching(/RTE\.zip has 100000 bytes, RTE\.zip has 697150/)]);
    expect(existsSync(path.join(cwd, "glue-data"))).toBe(false);
    expect(readdirSync(path.join(cwd, "cache/glue"))).toEqual([]);
  });

  test("Ctrl-C keeps what was fetched, and says how to go on", async () => {
    answer = () => ({ content: Buffer.alloc(100_000, "x"), headers: { etag: '"a"' }, stallAfter: 40_000 });
    const { child, outcome } = start(`data download --task rte --mirror ${server.url}`);
    const part = path.join(cwd, "cache/glue/rte/RTE.zip.part");
    await until(() => existsSync(part));
    child.kill("SIGINT");
    const { status, stderr } = await outcome;
    expect([status, stderr]).toEqual([
      130,
      expect.stringMatching(/what was fetched is kept. Go on with: flexbert data download/),
    ]);
    expect(existsSync(part)).toBe(true);
  });

  test("complete files are left as they are; a file with other rows is an error that says how to replace it", async () => {
    const folder = path.join(cwd, "mine/RTE");
    mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(folder, "train.tsv"), rows(2490));
    writeFileSync(path.join(folder, "dev.tsv"), rows(277));
    writeFileSync(path.join(folder, "test.tsv"), rows(3000));
    const whole = await run("data download --task RTE --glue-data mine --offline");
    expect([whole.status, whole.stdout]).toEqual([
      0,
      "rte: already complete in mine/RTE (rows: train 2490, dev 277, test 3000)\n",
    ]);
    const [{ files }] = JSON.parse((await run("data download --task rte --glue-data mine --offline --json")).stdout);
    expect(files[1]).toMatchObject({
      split: "dev",
      rows: 277,
      kept: true,
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    writeFileSync(path.join(folder, "dev.tsv"), rows(12));
    const other = await run("data download --task rte --glue-data mine --offline");
    expect([other.status, other.stderr]).toEqual([
      3,
      expect.stringMatching(/dev\.tsv has 12 rows, the published file 277.*--force/),
    ]);
  });

  test("a dry run lists all ten tasks and fetches nothing", async () => {
    const { status, stdout } = await run(`data download --dry-run --json --mirror ${server.url}`);
    expect(status).toBe(0);
    const plan: { task: string; missing: string[]; files: { from: string; bytes: number; sha256: string }[] }[] =
      JSON.parse(stdout);
    expect(plan.map(({ task }) => task)).toEqual(Object.keys(glueTasks));
    expect(plan.flatMap(({ files }) => files)).toHaveLength(Object.keys(glueSources).length + 2);
    expect(server.requests).toEqual([]);
    expect((await run("data download --dry-run")).stdout).toMatch(/QQP-clean\.zip +41\.7 MB/);
  });

  test.each([
    ["--task nli", /--task nli: no such task/],
    ["--task rte --mirror ftp://x", /--mirror "ftp:\/\/x": it takes an http or https address, or a folder/],
    ["folder", /data download takes no folder "folder"/],
  ])("%s is an error of usage", async (options, message) => {
    const { status, stderr } = await run(`data download ${options}`);
    expect([status, stderr]).toEqual([2, expect.stringMatching(message)]);
  });

  test("a task of one's own is none of GLUE's", async () => {
    await run("data sample sample");
    const { status, stderr } = await run("data download --tasks sample/tasks.yaml --task sample-intent");
    expect([status, stderr]).toEqual([2, expect.stringMatching(/sample-intent is a task of your own/)]);
  });

  test("flexbert data alone checks, as flexbert data check does", async () => {
    expect(await run("data --tasks sample/tasks.yaml --task sample-intent")).toEqual(
      await run("data check --tasks sample/tasks.yaml --task sample-intent"),
    );
    expect((await run("data --tasks sample/tasks.yaml --task sample-intent")).stdout).toMatch(/train +480/);
    expect((await run("data")).stderr).toMatch(/no task has data in glue-data\. Run: flexbert data download/);
    expect((await run("data frobnicate")).stderr).toMatch(/data takes check, download or sample, not frobnicate/);
  });
});
