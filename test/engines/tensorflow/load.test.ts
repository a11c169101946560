// Where TensorFlow is looked for, and what its package's JavaScript sees while it loads.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, jest, test } from "@jest/globals";
import { explainAbsence } from "../../../src/engines/open";
import { ISA_VARIABLE } from "../../../src/engines/tensorflow/cpu-probe";
import { buildName, tensorflowBuilds, tfjsPackage } from "../../../src/engines/tensorflow/install/builds";
import {
  explainTensorflowAbsence,
  loadTensorflow,
  locateTensorflow,
  prepareEnvironment,
} from "../../../src/engines/tensorflow/load";
import { engineError, failure, usageError } from "../../../src/errors/errors";
import { temporaryFolder } from "../../files/temporary-folder";
import { unless } from "../../skips";

const kept = ["FLEXBERT_TFJS_NODE", "FLEXBERT_CACHE"].map((name) => [name, process.env[name]] as const);
let folder: string;
beforeEach(() => {
  folder = temporaryFolder();
  process.env["FLEXBERT_CACHE"] = path.join(folder, "cache");
  delete process.env["FLEXBERT_TFJS_NODE"];
});
afterEach(() => {
  for (const [name, value] of kept) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
});

/** A package folder as npm leaves it, with an addon if wanted. */
function writePackage(addon: boolean): string {
  const target = path.join(folder, "package");
  for (const part of ["dist", "lib/napi-v8"]) mkdirSync(path.join(target, part), { recursive: true });
  writeFileSync(path.join(target, "package.json"), '{"version": "4.22.0"}');
  if (addon) writeFileSync(path.join(target, "lib/napi-v8/tfjs_binding.node"), "");
  return target;
}

function writeBuild(files: Readonly<Record<string, number>> = {}): string {
  const target = path.join(tensorflowBuilds.folder(), buildName("2.21.0", "cpu"));
  mkdirSync(target, { recursive: true });
  const manifest = { format: 1, tensorflow: "2.21.0", flavour: "cpu", platform: "p", compiler: "c", wheels: [], files };
  writeFileSync(path.join(target, "build.json"), JSON.stringify({ ...manifest, tfjs: tfjsPackage()?.version }));
  return target;
}

const reasonOf = (look: () => unknown) => {
  try {
    look();
  } catch (error) {
    return explainTensorflowAbsence(error);
  }
  throw new Error("it was found");
};

const noPackage = tfjsPackage() ? null : "@tensorflow/tfjs-node-gpu is not installed";
const ownAddon = existsSync(path.join(tfjsPackage()?.folder ?? "", "lib")) && "the package has an addon of its own";

unless(noPackage).describe("the order of sources", () => {
  test("FLEXBERT_TFJS_NODE comes before a build", () => {
    const build = writeBuild();
    expect(locateTensorflow()).toMatchObject({ from: "build", addon: path.join(build, "tfjs_binding.node") });
    process.env["FLEXBERT_TFJS_NODE"] = writePackage(true);
    expect(locateTensorflow()).toMatchObject({ from: "FLEXBERT_TFJS_NODE", build: null });
  });

  unless(ownAddon).test("a damaged build is named with the command that mends it", () => {
    writeBuild({ "tensorflow/libtensorflow_cc.so.2": 5 });
    const { reason, remedy } = reasonOf(locateTensorflow);
    expect(reason).toMatch(/2\.21\.0-cpu-\S+ cannot be used: tensorflow\/libtensorflow_cc\.so\.2 is missing/);
    expect(remedy).toMatch(/^Run: flexbert engine install tensorflow/);
  });

  unless(ownAddon).test("nothing installed: the command that installs", () => {
    expect(reasonOf(locateTensorflow)).toMatchObject({
      reason: "no build of TensorFlow is installed",
      remedy: expect.stringMatching(/^Run: flexbert engine install tensorflow/),
    });
  });
});

unless(noPackage ?? ownAddon).test("without a home folder there are no builds", () => {
  const { XDG_CACHE_HOME } = process.env;
  const homedir = jest.spyOn(os, "homedir").mockReturnValue("");
  delete process.env["FLEXBERT_CACHE"];
  delete process.env["XDG_CACHE_HOME"];
  try {
    expect(reasonOf(locateTensorflow).reason).toBe("no build of TensorFlow is installed");
  } finally {
    homedir.mockRestore();
    if (XDG_CACHE_HOME !== undefined) process.env["XDG_CACHE_HOME"] = XDG_CACHE_HOME;
  }
});

test("a folder in FLEXBERT_TFJS_NODE without a package or an addon is named", () => {
  process.env["FLEXBERT_TFJS_NODE"] = folder;
  expect(reasonOf(locateTensorflow).reason).toBe(`FLEXBERT_TFJS_NODE names ${folder}, which holds no package`);
  process.env["FLEXBERT_TFJS_NODE"] = writePackage(false);
  expect(reasonOf(locateTensorflow)).toMatchObject({
    reason: expect.stringMatching(/whose addon is not built$/),
    remedy: expect.stringMatching(/unset the variable/),
  });
});

test("what a library says when it does not load becomes one line", () => {
  const { reason, remedy } = explainAbsence(
    "tensorflow",
    new Error("libcudart.so.12: no such file\nRequire stack:\n- x"),
  );
  expect(reason).toBe("TensorFlow does not load: libcudart.so.12: no such file");
  expect(remedy).toMatch(/^Run: flexbert engine install tensorflow/);
});

test("a build whose files are there and do not load is made anew by the command that is named", () => {
  writeBuild({ "tfjs_binding.node": 7 });
  const build = tensorflowBuilds.find(buildName("2.21.0", "cpu"));
  if (!build) throw new Error("no build was written");
  const source = {
    from: "build",
    package: folder,
    addon: path.join(build.folder, "tfjs_binding.node"),
    build,
  } as const;
  writeFileSync(source.addon, "no ELF!");
  const { reason, remedy } = reasonOf(() => loadTensorflow(source, true));
  expect(reason).toMatch(/^build 2\.21\.0-cpu-\S+ does not load: .*tfjs_binding\.node/);
  expect(remedy).toBe("Run: flexbert engine install tensorflow --cpu --version 2.21.0 --force");
});

test("FLEXBERT_TFJS_NODE with an addon that does not run: no install would help", async () => {
  process.env["FLEXBERT_TFJS_NODE"] = writePackage(true);
  const error = await prepareEnvironment(locateTensorflow(), false).catch((thrown) => thrown);
  expect(explainTensorflowAbsence(error)).toMatchObject({
    reason: expect.stringMatching(/^FLEXBERT_TFJS_NODE \S+ does not run: /),
    remedy: "Name the folder of a built @tensorflow/tfjs-node-gpu, or unset the variable",
  });
});

test("a library that faults under the user's own setting: the setting goes", async () => {
  const source = writePackage(true);
  const addon = path.join(folder, "addon.js");
  writeFileSync(addon, 'process.kill(process.pid, "SIGILL"); while (true);');
  const before = process.env[ISA_VARIABLE];
  process.env[ISA_VARIABLE] = "AVX9";
  try {
    const prepared = prepareEnvironment({ from: "package", package: source, addon, build: null }, false);
    const { reason, remedy } = explainTensorflowAbsence(await prepared.catch((error) => error));
    expect(reason).toMatch(/^the registry's package does not run: .* SIGILL on this CPU with ONEDNN_MAX_CPU_ISA=AVX9$/);
    expect(remedy).toMatch(/^Unset ONEDNN_MAX_CPU_ISA/);
  } finally {
    if (before === undefined) delete process.env[ISA_VARIABLE];
    else process.env[ISA_VARIABLE] = before;
  }
});

test("a wrong setting is not taken for a missing installation", () => {
  const { reason, remedy } = explainAbsence("tensorflow", usageError("FLEXBERT_TENSORFLOW_MODE is abc"));
  expect([reason, remedy]).toEqual(["FLEXBERT_TENSORFLOW_MODE is abc", "Mend that setting, or unset it"]);
});

test("what the machine refuses is no missing installation either, and an absence is told by its cause", () => {
  expect(explainAbsence("tensorflow", failure("the disk is full", new Error("ENOSPC")))).toMatchObject({
    reason: "the disk is full",
    remedy: "Mend that, and try again",
  });
  expect(explainAbsence("tensorflow", engineError("x is absent: y. z", new Error("no library")))).toMatchObject({
    reason: "TensorFlow does not load: no library",
  });
});

test("functions that Node 23 removed from util are there for the package's files, and for nobody else's", () => {
  const source = writePackage(false);
  writeFileSync(path.join(folder, "other.js"), `exports.sees = typeof require("util").isArray;`);
  writeFileSync(path.join(source, "dist/register_all_kernels.js"), "");
  writeFileSync(
    path.join(source, "dist/nodejs_kernel_backend.js"),
    `const util = require("util"), other = require(${JSON.stringify(path.join(folder, "other.js"))});
     exports.NodeJSKernelBackend = class {
       constructor() {
         this.seen = [util.isNullOrUndefined(null), util.isNullOrUndefined(0), util.isArray([]), typeof util.inspect, other.sees];
       }
     };`,
  );
  writeFileSync(path.join(folder, "addon.js"), "");
  const loader = path.join(__dirname, "../../../dist/engines/tensorflow/load.js");
  const script = `
    const util = require("util"), { isArray, isNullOrUndefined } = util;
    delete util.isArray; delete util.isNullOrUndefined; // as on Node 23
    const { loadTensorflow } = require(${JSON.stringify(loader)});
    const source = { from: "build", package: ${JSON.stringify(source)}, addon: ${JSON.stringify(path.join(folder, "addon.js"))}, build: null };
    const { seen } = loadTensorflow(source, false).createBackend();
    console.log(JSON.stringify([...seen, typeof require("util").isArray]));`;
  const { stdout, stderr } = spawnSync(process.execPath, ["-e", script], { encoding: "utf8" });
  expect(stderr).toBe("");
  expect(JSON.parse(stdout)).toEqual([true, false, true, "function", "undefined", "undefined"]);
});
