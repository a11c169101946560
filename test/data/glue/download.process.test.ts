// GLUE's download against a local server: official-looking zips, and what goes wrong with them on the way.

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { type DownloadOptions, downloadTask } from "../../../src/data/glue/download";
import { type Mirror, OutOfReach, officialHost, parseMirror } from "../../../src/data/glue/fetch-source";
import { type GlueSource, glueSources } from "../../../src/data/glue/sources";
import { ExitCode } from "../../../src/errors/errors";
import { openNetwork } from "../../../src/files/network";
import { glueTasks } from "../../../src/tasks/glue";
import type { SplitName, Task } from "../../../src/tasks/task";
import { type Answer, type FileServer, startFileServer } from "../../files/file-server";
import { temporaryFolder } from "../../files/temporary-folder";
import { bytesIn } from "../../until";
import { sourceFile, zipOf } from "../zip-writer";

/** A task with the rows of these tests' files instead of the published ones. */
function withRows(task: Task, rows: Partial<Record<SplitName, number>>): Task {
  const splits = Object.fromEntries(
    Object.entries(task.splits).map(([name, split]) => [name, { ...split, rows: rows[name as SplitName] }]),
  );
  return { ...task, splits };
}

const rte = withRows(glueTasks.rte, { train: 2, dev: 1, test: 1 });
const head = "index\tsentence1\tsentence2";
const rteFiles = {
  "train.tsv": `${head}\tlabel\n0\tIt "rains.\tIt is wet.\tentailment\n1\ta\tb\tnot_entailment\n`,
  "dev.tsv": `${head}\tlabel\n0\tc\td\tentailment\n`,
  "test.tsv": `${head}\n0\te\tf\n`,
};
const inFolder = (folder: string, files: Readonly<Record<string, string | Buffer>>) =>
  Object.fromEntries(Object.entries(files).map(([name, content]) => [`${folder}/${name}`, content]));

let folder: string;
let glueData: string;
let downloads: string;
let server: FileServer | undefined;
let answers: Record<string, Answer[]>;
beforeEach(async () => {
  process.env["NO_PROXY"] = process.env["no_proxy"] = "127.0.0.1";
  folder = temporaryFolder();
  glueData = path.join(folder, "glue-data");
  downloads = path.join(folder, "cache/glue");
  answers = {};
  server = await startFileServer((url) => {
    const queue = answers[url];
    return queue && queue.length > 1 ? queue.shift() : queue?.[0];
  });
});
afterEach(async () => {
  await server?.close();
  server = undefined;
});

async function get(task: Task, source: GlueSource, options: Partial<DownloadOptions> = {}) {
  const network = await openNetwork({ attempts: 2, backoffMs: 5, connectMs: 60_000, stallMs: 1000 });
  const mirror: Mirror = { kind: "host", url: server?.url ?? "", headers: {} };
  try {
    return await downloadTask(task, source, { glueData, downloads, mirror, network, force: false, ...options });
  } finally {
    await network.close();
  }
}

const rteZip = async (files: Readonly<Record<string, string | Buffer>> = inFolder("RTE", rteFiles)) =>
  zipOf({ "RTE/": "", ...files });

/** Serves a zip at RTE's address and says what is published there: the zip itself, unless another one is given. */
function publish(served: Buffer, published = served, answer: Partial<Answer> = {}): GlueSource {
  answers["/glue/data/RTE.zip"] = [{ content: served, headers: { etag: '"a"' }, ...answer } as Answer];
  return { form: "zip", zip: sourceFile("glue/data/RTE.zip", published) };
}

const everything = (place: string) => (existsSync(place) ? readdirSync(place, { recursive: true }).map(String) : []);

async function expectRefused(refused: Promise<unknown>, exitCode: number, message: RegExp): Promise<void> {
  await expect(refused).rejects.toThrow(message);
  await expect(refused).rejects.toMatchObject({ exitCode });
  expect(everything(glueData)).toEqual([]);
}

describe("a zip", () => {
  test("becomes the task's folder, with its licence and without the rest; the work folder is cleared", async () => {
    const zip = await rteZip({
      ...inFolder("RTE", { ...rteFiles, "LICENSE.txt": "terms", "original/raw.jsonl": "{}" }),
      "__MACOSX/RTE/._train.tsv": "x",
    });
    const { state, files } = await get(rte, publish(zip));
    expect(state).toBe("downloaded");
    expect(everything(glueData).sort()).toEqual([
      "RTE",
      ...["LICENSE.txt", "dev.tsv", "test.tsv", "train.tsv"].map((name) => `RTE/${name}`),
    ]);
    expect(readFileSync(path.join(glueData, "RTE/train.tsv"), "utf8")).toBe(rteFiles["train.tsv"]);
    expect(files.map(({ split, rows, kept }) => [split, rows, kept])).toEqual([
      ["train", 2, false],
      ["dev", 1, false],
      ["test", 1, false],
    ]);
    expect(everything(downloads)).toEqual([]);
  });

  test("is not asked for again where the files are there", async () => {
    const source = publish(await rteZip());
    await get(rte, source);
    const again = await get(rte, source, { network: null });
    expect(again.state).toBe("present");
    expect(again.files.map(({ kept }) => kept)).toEqual([true, true, true]);
    expect(server?.requests).toHaveLength(1);
  });

  test("comes from beside the other files of a mirror that lacks the host's paths", async () => {
    const zip = await rteZip();
    const source = publish(zip);
    answers = { "/RTE.zip": [{ content: zip }] };
    await get(rte, source);
    expect(server?.requests.map(({ url }) => url)).toEqual(["/glue/data/RTE.zip", "/RTE.zip"]);
  });

  test("comes from a folder, without a network; the folder keeps it", async () => {
    const zip = await rteZip();
    writeFileSync(path.join(folder, "RTE.zip"), zip);
    const mirror = parseMirror(folder, "--mirror");
    await get(rte, publish(zip), { mirror, network: null });
    expect(server?.requests).toEqual([]);
    expect(existsSync(path.join(folder, "RTE.zip"))).toBe(true);
    expect(everything(glueData)).toHaveLength(4);
  });
});

test("a zip that an earlier run fetched and could not unpack is not fetched again", async () => {
  const zip = await rteZip();
  const source = publish(zip);
  mkdirSync(path.join(downloads, "rte/unpacked/RTE"), { recursive: true });
  writeFileSync(path.join(downloads, "rte/RTE.zip"), zip);
  expect((await get(rte, source, { network: null })).state).toBe("downloaded");
  expect(everything(downloads)).toEqual([]);
});

describe("what is there already", () => {
  beforeEach(() => {
    mkdirSync(path.join(glueData, "RTE"), { recursive: true });
  });
  const put = (name: string, content: string) => writeFileSync(path.join(glueData, "RTE", name), content);
  const look = (name: string) => readFileSync(path.join(glueData, "RTE", name), "utf8");

  test("a file that lacks is added, beside those that stay", async () => {
    put("test.tsv", rteFiles["test.tsv"]);
    put("notes.txt", "mine");
    const { files, notes } = await get(rte, publish(await rteZip()));
    expect(files.map(({ kept }) => kept)).toEqual([false, false, true]);
    expect(notes).toEqual([]);
    expect(look("train.tsv")).toBe(rteFiles["train.tsv"]);
    expect(look("notes.txt")).toBe("mine");
  });

  test("a file of as many rows and another content stays, and is named", async () => {
    put("dev.tsv", rteFiles["dev.tsv"].replaceAll("\n", "\r\n"));
    const { notes } = await get(rte, publish(await rteZip()));
    expect(notes).toEqual([expect.stringMatching(/RTE.dev\.tsv has as many rows .* it stays/)]);
    expect(look("dev.tsv")).toContain("\r\n");
  });

  test.each([
    [
      "has other rows",
      `${head}\tlabel\n0\ta\tb\tentailment\n`,
      /train\.tsv has 1 rows, the published file 2\. .*--force/,
    ],
    ["lacks a column", "a\tb\n1\t2\n", /there is no column "sentence1".*--force/],
    ["ends in a header", `${head}\tlabel\n`, /there is a header and no row.*--force/],
    ["is empty", "", /the file is empty.*--force/],
  ])("a file that %s is refused before anything is fetched, and replaced with --force", async (_, content, message) => {
    put("train.tsv", content);
    const source = publish(await rteZip());
    await expect(get(rte, source)).rejects.toMatchObject({ exitCode: ExitCode.data });
    await expect(get(rte, source)).rejects.toThrow(message);
    expect(server?.requests).toEqual([]);
    expect(look("train.tsv")).toBe(content);
    await get(rte, source, { force: true });
    expect(look("train.tsv")).toBe(rteFiles["train.tsv"]);
  });
});

describe("a half download", () => {
  test("goes on where the server died, in the same call and in a later one", async () => {
    const zip = await rteZip();
    const source = publish(zip);
    const breakAfter = { bytes: 100, arrivedIn: path.join(downloads, "rte/RTE.zip.part") };
    const breaking = { content: zip, headers: { etag: '"a"' }, breakAfter };
    answers["/glue/data/RTE.zip"] = [breaking, breaking, { status: 503 }];
    await expectRefused(get(rte, source), ExitCode.failure, /answers 503/);
    expect(everything(downloads)).toContain("rte/RTE.zip.part");
    const before = server?.requests.length as number;
    expect(bytesIn(breakAfter.arrivedIn)).toBe(200);
    answers["/glue/data/RTE.zip"] = [{ content: zip, headers: { etag: '"a"' } }];
    await get(rte, source);
    expect(server?.requests.slice(before).map(({ headers }) => headers.range)).toEqual(["bytes=200-"]);
    expect(everything(downloads)).toEqual([]);
  });

  test("of a server that only stalls is out of reach (1), and its part is kept", async () => {
    const zip = await rteZip();
    const source = publish(zip, zip, { stallAfter: 200 } as Partial<Answer>);
    // Each attempt brings 200 bytes more until the file is whole: the zip arrives in spite of it.
    await get(rte, source);
    expect((server?.requests.length ?? 0) > 2).toBe(true);
    answers["/glue/data/RTE.zip"] = [{ content: zip, headers: { etag: '"a"' }, stallAfter: 0 }];
    const refused = get(rte, source, { force: true });
    await expect(refused).rejects.toBeInstanceOf(OutOfReach);
    await expect(refused).rejects.toMatchObject({ exitCode: ExitCode.failure });
    expect(readFileSync(path.join(glueData, "RTE/dev.tsv"), "utf8")).toBe(rteFiles["dev.tsv"]);
  });

  test("stopped by a signal leaves nothing but its part", async () => {
    const zip = await rteZip();
    const source = publish(zip, zip, { stallAfter: 50 } as Partial<Answer>);
    const controller = new AbortController();
    const onProgress = (_: string, received: number) => {
      if (received >= 50) controller.abort();
    };
    await expect(get(rte, source, { signal: controller.signal, onProgress })).rejects.toMatchObject({
      name: "AbortError",
    });
    expect(everything(glueData)).toEqual([]);
    expect(everything(downloads)).toContain("rte/RTE.zip.part");
  });
});

describe("refuses, and leaves glue-data as it is", () => {
  test("a file that is not there: 404", async () => {
    const source = publish(await rteZip());
    answers = {};
    const refused = get(rte, source);
    await expect(refused).rejects.toBeInstanceOf(OutOfReach);
    await expectRefused(refused, ExitCode.data, /RTE\.zip answers 404/);
  });

  test("a host that is out of reach", async () => {
    const source = publish(await rteZip());
    await server?.close();
    await expectRefused(
      get(rte, source),
      ExitCode.failure,
      /ECONNREFUSED.*Check the network, HTTPS_PROXY and --mirror$/,
    );
  });

  test("--offline, and a folder that lacks the file", async () => {
    const source = publish(await rteZip());
    await expectRefused(get(rte, source, { network: null }), ExitCode.data, /RTE\.zip is not there, and --offline/);
    const mirror = parseMirror(folder, "--mirror");
    await expectRefused(get(rte, source, { mirror }), ExitCode.data, /has no RTE\.zip/);
  });

  test("a web page in its place", async () => {
    const source = publish(Buffer.from("<!DOCTYPE html><html>Log in</html>"), await rteZip());
    await expectRefused(get(rte, source), ExitCode.data, /RTE\.zip is a web page, not RTE\.zip/);
    expect(everything(downloads)).toEqual([]);
  });

  test("a server that sends another file without end", async () => {
    const source = publish(Buffer.alloc(3_000_000), await rteZip());
    await expectRefused(get(rte, source), ExitCode.data, /sends more than the \d+ bytes of RTE\.zip/);
  });

  test("a wrong hash, and another length", async () => {
    const zip = await rteZip();
    const other = Buffer.from(zip);
    other[40] = (other[40] as number) ^ 1;
    await expectRefused(get(rte, publish(other, zip)), ExitCode.data, /has the sha256 [0-9a-f]{64}, expected is/);
    const cut = zip.subarray(0, 300);
    await expectRefused(get(rte, publish(cut, zip)), ExitCode.data, /has 300 bytes, RTE\.zip has \d+/);
    expect(everything(downloads)).toEqual([]);
  });

  test.each<[string, () => Promise<Buffer>, RegExp]>([
    ["a zip that is cut off", async () => (await rteZip()).subarray(0, 300), /damaged or no zip file/],
    ["what is no zip", async () => Buffer.from("no zip at all".repeat(20)), /damaged or no zip file/],
    [
      "an entry that climbs out of its folder",
      async () => {
        const bytes = await rteZip({ ...inFolder("RTE", rteFiles), "xx/evil.txt": "evil" });
        return Buffer.from(bytes.toString("latin1").replaceAll("xx/evil", "../evil"), "latin1");
      },
      /damaged or no zip file \(its entry \.\.\/evil\.txt leaves the folder/,
    ],
    [
      "a bomb",
      () => rteZip(inFolder("RTE", { ...rteFiles, "train.tsv": Buffer.alloc(5_000_000, "0\t1\n") })),
      /would unpack to more than/,
    ],
    ["a zip without the task's folder", () => rteZip(inFolder("QNLI", rteFiles)), /RTE\.zip holds no RTE\/train\.tsv/],
    [
      "a file that lacks",
      () => rteZip(inFolder("RTE", { "train.tsv": rteFiles["train.tsv"], "dev.tsv": rteFiles["dev.tsv"] })),
      /RTE\.zip holds no RTE\/test\.tsv/,
    ],
    [
      "other rows than were published",
      () => rteZip(inFolder("RTE", { ...rteFiles, "test.tsv": `${head}\n0\te\tf\n1\tg\th\n` })),
      /test\.tsv has 2 rows, the published file 1/,
    ],
    [
      "files of another layout",
      () => rteZip(inFolder("RTE", { ...rteFiles, "dev.tsv": "a\tb\n1\t2\n" })),
      /there is no column "sentence1"/,
    ],
  ])("%s, though its hash is right", async (_, make, message) => {
    await expectRefused(get(rte, publish(await make())), ExitCode.data, message);
    expect(everything(folder).filter((name) => /evil|unpacked/.test(name))).toEqual([]);
  });
});

test("a split's name that is a folder is an error that says so", async () => {
  mkdirSync(path.join(glueData, "RTE/train.tsv"), { recursive: true });
  await expect(get(rte, publish(await rteZip()))).rejects.toThrow(/train\.tsv: cannot be read \(EISDIR\)/);
});

test("AX is a bare file, found also where the official script puts it", async () => {
  const ax = withRows(glueTasks.ax, { test: 1 });
  const content = Buffer.from(`${head}\n0\ta\tb\n`);
  answers["/glue/data/AX.tsv"] = [{ content }];
  const source: GlueSource = { form: "table", table: sourceFile("glue/data/AX.tsv", content) };
  await get(ax, source);
  expect(everything(glueData)).toEqual(["AX", "AX/AX.tsv"]);
  const official = path.join(folder, "official");
  mkdirSync(path.join(official, "diagnostic"), { recursive: true });
  writeFileSync(path.join(official, "diagnostic/diagnostic.tsv"), content);
  expect((await get(ax, source, { glueData: official, network: null })).state).toBe("present");
});

test("MRPC is built from three files", async () => {
  const mrpc = withRows(glueTasks.mrpc, { train: 1, dev: 1, test: 1 });
  const header = "\uFEFFQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n";
  const train = Buffer.from(`${header}1\t10\t11\ta\tb\n0\t12\t13\tc\td\n`);
  const served = { train, test: Buffer.from(`${header}1\t20\t21\te\tf\n`), devIds: Buffer.from("10\t11\n") };
  const paths = { train: "senteval/train.txt", test: "senteval/test.txt", devIds: "glue/data/ids.tsv" };
  for (const part of ["train", "test", "devIds"] as const) answers[`/${paths[part]}`] = [{ content: served[part] }];
  const part = (name: keyof typeof served) => sourceFile(paths[name], served[name]);
  await get(mrpc, { form: "senteval", train: part("train"), test: part("test"), devIds: part("devIds") });
  expect(readFileSync(path.join(glueData, "MRPC/dev.tsv"), "utf8")).toBe(`${header}1\t10\t11\ta\tb\n`);
  expect(readFileSync(path.join(glueData, "MRPC/test.tsv"), "utf8")).not.toContain("Quality");
});

describe("the mirror", () => {
  test("is an address or a folder; a password goes in a header and into no message", () => {
    expect(parseMirror("https://me:se%20cret@mirror.example/glue/", "--mirror")).toEqual({
      kind: "host",
      url: "https://mirror.example/glue",
      headers: { authorization: `Basic ${Buffer.from("me:se cret").toString("base64")}` },
    });
    expect(parseMirror(`file://${folder}`, "--mirror")).toEqual({ kind: "folder", folder });
    expect(() => parseMirror("no/such/folder", "--mirror")).toThrow(/--mirror "no\/such\/folder": it takes/);
    writeFileSync(path.join(folder, "file"), "");
    for (const wrong of [
      path.join(folder, "file"),
      "file://elsewhere/x",
      "file:x",
      "http://%zz:secret@host/",
      "https://a b",
    ]) {
      expect(() => parseMirror(wrong, "--mirror")).toThrow(
        /it takes an http or https address, or a folder that exists/,
      );
      expect(() => parseMirror(wrong, "--mirror")).not.toThrow(/secret/);
    }
    expect(() => parseMirror("http://", "--mirror")).toThrow(/it takes an http or https address/);
  });

  test("is not needed: every task has its official source, in the official host's paths", () => {
    expect(officialHost).toMatchObject({ url: "https://dl.fbaipublicfiles.com" });
    expect(Object.keys(glueSources).sort()).toEqual(Object.keys(glueTasks).sort());
  });
});
