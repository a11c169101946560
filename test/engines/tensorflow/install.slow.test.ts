// `engine install` from end to end against stand-ins for pip, npm and the compiler: what it leaves, and each bad case.

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
import promises from "node:fs/promises";
import path from "node:path";
import { afterEach, beforeEach, expect, jest, test } from "@jest/globals";
import { buildName, tensorflowBuilds } from "../../../src/engines/tensorflow/install/builds";
import { installTensorflow, libraryTarget } from "../../../src/engines/tensorflow/install/install";
import { cudaRequirements } from "../../../src/engines/tensorflow/install/wheels";
import { ExitCode } from "../../../src/errors/errors";
import { temporaryFolder } from "../../files/temporary-folder";
import { asRoot, unless } from "../../skips";
import { until } from "../../until";
import { CPU_WHEEL, GPU_WHEEL, tensorflowEntries, writeTools, writeWheel } from "./fake-tools";

const describeOnLinux = unless(
  process.platform !== "linux" || process.arch !== "x64" ? "it needs Linux on x64" : null,
).describe;
const environment = { ...process.env };

let folder: string;
let cache: string;
beforeEach(async () => {
  folder = temporaryFolder();
  cache = path.join(folder, "cache");
  const index = path.join(folder, "index");
  await writeWheel(index, CPU_WHEEL, tensorflowEntries);
  writeFileSync(path.join(index, "requires.json"), "[]");
  process.env["FAKE_INDEX"] = index;
  process.env["FAKE_LOG"] = path.join(folder, "pip.log");
  process.env["PATH"] = writeTools(path.join(folder, "bin"), ["python3", "c++", "npm"]);
  delete process.env["CXX"];
});
afterEach(() => {
  for (const name of Object.keys(process.env)) if (!(name in environment)) delete process.env[name];
  Object.assign(process.env, environment);
});

const install = (options: Partial<Parameters<typeof installTensorflow>[0]> = {}) =>
  installTensorflow({
    version: "2.21.0",
    flavour: "cpu",
    cache,
    log: () => undefined,
    check: async () => {},
    ...options,
  });

const calls = () => readFileSync(path.join(folder, "pip.log"), "utf8").trim().split("\n");
const root = () => tensorflowBuilds.folder(cache);
const name = buildName("2.21.0", "cpu");

/** Nothing but whole builds, and wheels to go on from. */
function expectNothingBroken(): void {
  for (const build of tensorflowBuilds.list(cache)) expect(build.problem).toBeNull();
  for (const left of existsSync(root()) ? readdirSync(root()) : []) expect([name, ".installing"]).toContain(left);
  const work = path.join(root(), ".installing", name);
  if (existsSync(work)) {
    expect(existsSync(path.join(work, ".flexbert.lock"))).toBe(false);
    expect(readdirSync(work)).toEqual(["wheels"]);
  }
}

async function expectFailure(message: RegExp, exitCode: number = ExitCode.failure): Promise<void> {
  const error = await install().catch((thrown) => thrown);
  expect(error).toMatchObject({ name: "UserError", exitCode, message: expect.stringMatching(message) });
  expectNothingBroken();
  expect(tensorflowBuilds.find(name, cache)).toBeNull();
}

describeOnLinux("an install", () => {
  test("leaves the library, the addons and a manifest, and nothing else", async () => {
    const { build, installed } = await install();
    expect(installed).toBe(true);
    expect(build).toMatchObject({ tensorflow: "2.21.0", flavour: "cpu", problem: null, compiler: "fake c++ 12.2" });
    expect(build.wheels).toEqual([{ file: CPU_WHEEL, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) }]);
    expect(readdirSync(build.folder).sort()).toEqual([
      "build.json",
      "stderr_switch.node",
      "tensorflow",
      "tfjs_binding.node",
    ]);
    const libraries = ["libtensorflow_cc.so.2", "libtensorflow_framework.so.2"];
    expect(readdirSync(path.join(build.folder, "tensorflow")).sort()).toEqual(libraries);
    expect(readdirSync(path.join(root(), ".installing"))).toEqual([]);
    expect(calls().at(-1)).toMatch(/^download .*--require-hashes/);
  });

  test("repeated, does nothing; a damaged build is made anew", async () => {
    const { build } = await install();
    const before = calls().length;
    expect((await install()).installed).toBe(false);
    expect(calls()).toHaveLength(before);
    writeFileSync(path.join(build.folder, "tensorflow/libtensorflow_cc.so.2"), "cut");
    expect(tensorflowBuilds.find(name, cache)?.problem).toMatch(/has 3 bytes, not 12000/);
    expect((await install()).installed).toBe(true);
    expectNothingBroken();
  });

  test("takes another tag where the first has no wheel: Python does not run the library", async () => {
    process.env["FAKE_TAGS"] = "3.10";
    await install();
    expect(calls().at(-1)).toMatch(/--python-version 3\.10 --abi cp310/);
  });

  test("brings the CUDA libraries that TensorFlow names", async () => {
    const index = process.env["FAKE_INDEX"] as string;
    await writeWheel(index, GPU_WHEEL, tensorflowEntries);
    await writeWheel(index, "nvidia_cuda_nvcc_cu12-12.9.86-py3-none-manylinux2014_x86_64.whl", {
      "nvidia/cuda_nvcc/bin/ptxas": "ptxas",
      "nvidia/cuda_nvcc/lib/libnvvm.so.4": "nvvm",
      "nvidia/cuda_nvcc/include/nvvm.h": "no",
    });
    writeFileSync(
      path.join(index, "requires.json"),
      '["numpy", "nvidia-cuda-nvcc-cu12<13.0,>=12.5; extra == \\"and-cuda\\""]',
    );
    const { build } = await install({ flavour: "gpu" });
    expect(
      Object.keys(build.files)
        .filter((file) => file.startsWith("nvidia/"))
        .sort(),
    ).toEqual(["nvidia/cuda_nvcc/bin/ptxas", "nvidia/cuda_nvcc/lib/libnvvm.so.4"]);
    expect(build.wheels).toHaveLength(2);
  });

  test("reports a wheel's progress where pip tells it", async () => {
    process.env["FAKE_PIP_VERSION"] = "24.1";
    const seen: unknown[] = [];
    await install({ onProgress: (...progress) => seen.push(progress) });
    expect(seen).toEqual([[CPU_WHEEL, 10, expect.any(Number)]]);
  });

  test("takes an index without hashes at its RECORD's word", async () => {
    process.env["FAKE_PIP"] = "no-hash";
    const { build } = await install();
    expect(build.wheels[0]?.sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(calls().at(-1)).not.toMatch(/require-hashes/);
  });
});

describeOnLinux("a bad case leaves nothing broken and says what to do", () => {
  test("no compiler and no Python: both in one message", async () => {
    process.env["PATH"] = writeTools(path.join(folder, "other"), ["npm"]);
    await expectFailure(/no C\+\+ compiler .*, and there is no Python 3\.9 or later .* Install a C\+\+17 compiler/);
  });

  test("the command that brings it, by the system's package manager", async () => {
    const bin = writeTools(path.join(folder, "other"), ["npm"]);
    writeFileSync(path.join(bin, "apt-get"), "");
    process.env["PATH"] = bin;
    await expectFailure(/Run: (sudo )?apt-get install g\+\+ python3 python3-pip$/);
  });

  test.each([
    ["a Python that is too old", { FAKE_PYTHON: "3.8" }, /python3 is 3\.8/],
    ["Python 2", { FAKE_PYTHON: "2.7" }, /python3 is 2\.7/],
    ["a Python without pip", { FAKE_PIP: "absent" }, /python3 \(3\.11\) has no pip.*Install pip$/],
    [
      "an old pip",
      { FAKE_PIP_VERSION: "21.0" },
      /python3 has pip 21\.0\)\. Run: python3 -m pip install --upgrade pip$/,
    ],
    [
      "a pip that its settings keep from running",
      { FAKE_PIP: "settings" },
      /the pip of python3 \(3\.11\) does not run: An error .* 'abc'\)\. Mend pip's settings until this runs: python3 -m pip --version$/,
    ],
    [
      "an index that refuses connections",
      { FAKE_PIP: "refused", PIP_QUIET: "3" },
      /cannot ask for tensorflow-cpu==2\.21\.0: https:\/\/index\.example\/simple\/x\/ does not answer as an index \(Failed to establish a new connection: \[Errno 111\] Connection refused\)/,
    ],
    [
      "a proxy that refuses connections",
      { FAKE_PIP: "proxy" },
      /as an index \(Cannot connect to proxy\. Failed to establish a new connection: \[Errno 111\] Connection refused\)\./,
    ],
    ["an index that forbids", { FAKE_PIP: "forbidden" }, /index \(403 Client Error: Forbidden\)\. Check the network/],
    ["a file that the index lists and has not", { FAKE_PIP: "gone" }, /404 Client Error.*Check the network/],
    [
      "no network",
      { FAKE_PIP: "offline" },
      /pip cannot fetch tensorflow-cpu==2\.21\.0 .*Connection refused.*HTTPS_PROXY/,
    ],
    ["half a download", { FAKE_PIP: "half" }, /pip cannot fetch tensorflow-cpu==2\.21\.0 .*IncompleteRead.*network/],
    [
      "a wrong hash that pip sees",
      { FAKE_PIP: "wrong-hash" },
      /wrong hash, altered or cut short \(sha256 b{64}, the index announces a{64}\)/,
    ],
    [
      "a wrong hash that pip lets pass",
      { FAKE_PIP: "unchecked" },
      /has the sha256 [0-9a-f]{64}, and the index announces/,
    ],
    ["a full disk", { FAKE_PIP: "full" }, /the disk is full: pip cannot fetch tensorflow-cpu==2\.21\.0/],
    ["a compiler's error", { FAKE_COMPILER: "broken" }, /'string_view' is not a member of 'std'.*CXX/],
    ["a compiler's full disk", { FAKE_COMPILER: "full" }, /the disk is full: c\+\+ cannot write \(.*\)\. .* in TMPDIR/],
    ["a compiler that is not there", { CXX: "nonesuch -x" }, /CXX names does not run: nonesuch -x/],
  ])("%s", async (_title, variables, message) => {
    Object.assign(process.env, variables);
    await expectFailure(message);
  });

  test("no wheel for any Python: the versions that there are, without candidates", async () => {
    process.env["FAKE_TAGS"] = "2.7";
    await expectFailure(
      /no wheel of tensorflow-cpu==2\.21\.0 .* It has 2\.9\.0, 2\.20\.0: choose with --version/,
      ExitCode.usage,
    );
    expect(calls().map((line) => /--python-version (\S+)/.exec(line)?.[1])).toEqual([
      "3.12",
      "3.11",
      "3.13",
      "3.10",
      "3.9",
    ]);
  });

  test("another spelling of a version: builds have one name", async () => {
    process.env["FAKE_PIP"] = "spelling";
    await expect(install({ version: "2.021.0" })).rejects.toMatchObject({
      exitCode: ExitCode.usage,
      message: "--version 2.021.0 is TensorFlow 2.21.0. Give --version 2.21.0",
    });
  });

  test("an index that does not have the package: which index it is", async () => {
    process.env["FAKE_PIP"] = "not-here";
    await expectFailure(/It has none of tensorflow-cpu: see .* python3 -m pip config list$/, ExitCode.usage);
  });

  test("what an earlier attempt fetched or left half done is no space that is missing", async () => {
    const work = path.join(root(), ".installing", name);
    for (const part of ["wheels", "build"]) mkdirSync(path.join(work, part), { recursive: true });
    writeFileSync(path.join(work, "build", "half"), "");
    writeFileSync(path.join(work, "wheels", "other.whl"), "");
    truncateSync(path.join(work, "wheels", "other.whl"), 1e9); // a hole: it takes no disk
    const halves: boolean[] = [];
    const statfs = jest.spyOn(promises, "statfs").mockImplementation((async () => {
      halves.push(existsSync(path.join(work, "build", "half")));
      return { bavail: 0.7e9, blocks: 1e9, bsize: 1 };
    }) as unknown as typeof promises.statfs);
    try {
      expect((await install()).installed).toBe(true);
    } finally {
      statfs.mockRestore();
    }
    expect(halves).toContain(false);
    expect(halves).not.toContain(true);
  });

  test("a wheel whose library is not what its RECORD says", async () => {
    process.env["FAKE_PIP"] = "no-hash";
    await writeWheel(
      process.env["FAKE_INDEX"] as string,
      CPU_WHEEL,
      tensorflowEntries,
      "tensorflow/libtensorflow_cc.so.2",
    );
    await expectFailure(/libtensorflow_cc\.so\.2 has another sha256 than its RECORD says/);
  });

  test("a build that does not run", async () => {
    const check = async () => {
      throw new Error("it faults");
    };
    await expect(install({ check })).rejects.toThrow("it faults");
    expectNothingBroken();
    process.env["FAKE_PIP"] = "slow"; // the wheel that was fetched is taken as it is
    expect((await install()).installed).toBe(true);
  });

  unless(asRoot).test("a cache that cannot be written", async () => {
    mkdirSync(cache);
    chmodSync(cache, 0o555);
    await expectFailure(/permission denied/);
  });

  test("a cache where a file stands", async () => {
    writeFileSync(cache, "");
    await expectFailure(/a file stands where a folder is needed\. Give another folder in FLEXBERT_CACHE$/);
    rmSync(cache);
  });

  test("two at once: one is told of the other, which ends well", async () => {
    const outcomes = await Promise.allSettled([install(), install()]);
    const ended = outcomes.find(({ status }) => status === "fulfilled") as PromiseFulfilledResult<{
      installed: boolean;
    }>;
    const refused = outcomes.find(({ status }) => status === "rejected") as PromiseRejectedResult;
    expect(ended.value.installed).toBe(true);
    expect(refused.reason.message).toContain(`in use by process ${process.pid} (installing tensorflow ${name})`);
    expectNothingBroken();
  });

  test.each(["python3", "c++"])("an interrupt while %s is looked for is one, and no missing tool", async (tool) => {
    const asked = path.join(folder, "asked");
    writeFileSync(path.join(folder, "bin", tool), `#!/bin/sh\n: > '${asked}'\nwhile :; do :; done\n`);
    const controller = new AbortController();
    const stopped = install({ signal: controller.signal });
    await until(() => existsSync(asked));
    controller.abort();
    await expect(stopped).rejects.toMatchObject({ name: "AbortError" });
    expectNothingBroken();
  });

  test("an interrupt ends pip and frees the lock; the next attempt goes through", async () => {
    process.env["FAKE_PIP"] = "slow";
    const controller = new AbortController();
    const stopped = install({ signal: controller.signal });
    const waiting = () => existsSync(path.join(folder, "pip.log")) && calls().at(-1) === "waiting";
    await until(waiting);
    controller.abort();
    await expect(stopped).rejects.toMatchObject({ name: "AbortError" });
    expectNothingBroken();
    delete process.env["FAKE_PIP"];
    expect((await install()).installed).toBe(true);
  });
});

describeOnLinux("builds", () => {
  test("removal takes the build and what a stopped install left", async () => {
    await install();
    mkdirSync(path.join(root(), ".installing", name, "wheels"), { recursive: true });
    await tensorflowBuilds.remove(name, cache);
    expect(tensorflowBuilds.list(cache)).toEqual([]);
    expect(readdirSync(path.join(root(), ".installing"))).toEqual([]);
  });

  test("what a killed process had set aside goes with the next install, and with the next removal", async () => {
    const aside = path.join(root(), ".installing", name, "old");
    const { build } = await install();
    mkdirSync(aside, { recursive: true });
    writeFileSync(path.join(aside, "library"), "");
    await install({ force: true });
    expect(existsSync(aside)).toBe(false);
    expectNothingBroken();
    mkdirSync(aside, { recursive: true });
    writeFileSync(path.join(aside, "library"), "");
    await tensorflowBuilds.remove(name, cache);
    expect([existsSync(build.folder), readdirSync(root())]).toEqual([false, [".installing"]]);
    expect(readdirSync(path.join(root(), ".installing"))).toEqual([]);
  });

  test("of several the newest for this machine is first, and unusable ones last", async () => {
    const { build } = await install();
    for (const version of ["2.9.0", "2.22.0"]) {
      const other = path.join(root(), buildName(version, "cpu"));
      mkdirSync(other);
      const manifest = {
        ...JSON.parse(readFileSync(path.join(build.folder, "build.json"), "utf8")),
        tensorflow: version,
        files: {},
      };
      writeFileSync(path.join(other, "build.json"), JSON.stringify(manifest));
    }
    mkdirSync(path.join(root(), buildName("2.30.0", "cpu")));
    expect(tensorflowBuilds.list(cache).map(({ tensorflow }) => tensorflow)).toEqual([
      "2.22.0",
      "2.21.0",
      "2.9.0",
      "2.30.0",
    ]);
    expect(tensorflowBuilds.find(buildName("2.30.0", "cpu"), cache)?.problem).toMatch(/build\.json is missing/);
  });

  test("one that a newer flexbert made is not damaged: it says who made it", async () => {
    const { build } = await install();
    const file = path.join(build.folder, "build.json");
    const manifest = JSON.parse(readFileSync(file, "utf8"));
    expect(manifest.flexbert).toMatch(/^\d/);
    writeFileSync(file, JSON.stringify({ ...manifest, format: 2, flexbert: "9.1.0" }));
    expect(tensorflowBuilds.find(name, cache)?.problem).toMatch(
      /^its build\.json has format 2; .* made by flexbert 9\.1\.0; this is \d/,
    );
  });
});

test("requirements of the extra and-cuda, in both spellings of metadata, and NVIDIA's alone", () => {
  const requires = [
    "numpy>=1.26",
    'nvidia-cublas-cu12<13.0,>=12.5.3.2; extra == "and-cuda"',
    "nvidia-nccl-cu12 (==2.16.5) ; extra == 'and-cuda'",
    "tensorrt (==8.5.3.1) ; extra == 'and-cuda'",
    'nvidia-other; extra == "gcs"',
  ];
  expect(cudaRequirements(requires)).toEqual(["nvidia-cublas-cu12<13.0,>=12.5.3.2", "nvidia-nccl-cu12==2.16.5"]);
});

test.each([
  ["tensorflow/libtensorflow_cc.so.2", true],
  ["nvidia/cudnn/lib/libcudnn_ops.so.9", true],
  ["nvidia/cuda_nvcc/nvvm/libdevice/libdevice.10.bc", true],
  ["tensorflow/python/_pywrap_tensorflow_internal.so", false],
  ["nvidia/cublas/include/cublas.h", false],
  ["nvidia/../../lib/x.so", true],
])("%s is taken: %s", (entry, taken) => {
  expect(libraryTarget(entry) !== null).toBe(taken);
});
