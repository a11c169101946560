// flexbert engine, run as a user would, with stand-ins for pip and the compiler on PATH.

import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "@jest/globals";
import { CPU_WHEEL, tensorflowEntries, writeTools, writeWheel } from "../engines/tensorflow/fake-tools";
import { temporaryFolder } from "../tiny";
import { until } from "../until";
import { flexbert } from "./flexbert";

const cwd = temporaryFolder();
const log = path.join(cwd, "pip.log");
const env = {
  FLEXBERT_CACHE: path.join(cwd, "cache"),
  FLEXBERT_TFJS_NODE: "",
  FAKE_INDEX: path.join(cwd, "index"),
  FAKE_LOG: log,
  PATH: path.join(cwd, "bin"),
  CXX: "",
};
const run = (line: string, more: Record<string, string> = {}) =>
  flexbert(line.split(" "), { cwd, env: { ...env, ...more } });
const work = path.join(cwd, "cache/.engines/tensorflow/.installing");

beforeAll(async () => {
  writeTools(env.PATH, ["python3", "c++", "npm"]);
  await writeWheel(env.FAKE_INDEX, CPU_WHEEL, tensorflowEntries);
  writeFileSync(path.join(env.FAKE_INDEX, "requires.json"), "[]");
});

/** Starts an install whose download never ends, sends the signal once it hangs, and returns how it ended. */
async function stopInstall(signal: NodeJS.Signals) {
  writeFileSync(log, "");
  const bin = path.join(__dirname, "../../bin/flexbert.js");
  const child = spawn(process.execPath, [bin, "engine", "install", "tensorflow", "--cpu"], {
    cwd,
    env: { ...process.env, ...env, FAKE_PIP: "slow" },
  });
  let stderr = "";
  child.stderr.on("data", (text) => {
    stderr += text;
  });
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  await until(() => readFileSync(log, "utf8").endsWith("waiting\n"));
  child.kill(signal);
  return { code: signal === "SIGKILL" ? null : await ended, stderr };
}

describe("flexbert engine", () => {
  test.each([
    ["engine upgrade", /engine takes install, list or remove, not upgrade/],
    ["engine install", /engine install takes an engine: tensorflow, or onnx-cuda for the onnx engine/],
    ["engine list onnx", /knows no engine onnx to list/],
    ["engine install onnx", /knows no engine onnx to install/],
    ["engine install onnx-cuda --gpu", /--gpu is not for onnx-cuda: it is for CUDA/],
    ["engine install tensorflow --from providers", /--from is not for tensorflow/],
    ["engine remove onnx-cuda --version 1.30.0", /--version is not for onnx-cuda/],
    ["engine install tensorflow --gpu --cpu", /--gpu and --cpu exclude each other/],
    ["engine install tensorflow --version newest", /--version "newest": it takes a version such as 2\.21\.0/],
    ["engine install tensorflow --version ../../x", /--version/],
  ])("%s is refused with 2", (line, message) => {
    const { status, stdout, stderr } = run(line);
    expect(stderr).toMatch(message);
    expect([status, stdout]).toEqual([2, ""]);
  });

  test("install --dry-run says what and where, and does nothing", () => {
    const { status, stdout } = run("engine install tensorflow --cpu --version 2.20.0 --dry-run --json");
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ dryRun: true, version: "2.20.0", flavour: "cpu" });
    expect(existsSync(path.join(cwd, "cache"))).toBe(false);
  });

  test("onnx-cuda: what an install would do, what is there, and its removal", () => {
    const planned = run("engine install onnx-cuda --dry-run --json");
    if (process.platform !== "linux" || process.arch !== "x64") {
      expect(planned).toMatchObject({ status: 6, stderr: expect.stringMatching(/knows Linux on x64/) });
      return;
    }
    expect(JSON.parse(planned.stdout)).toMatchObject({ dryRun: true, engine: "onnx-cuda" });
    const refused = run("engine install onnx-cuda --from nowhere");
    expect(refused).toMatchObject({ status: 2, stderr: expect.stringMatching(/--from nowhere holds no lib/) });
    const listed = run("engine list onnx-cuda");
    expect(listed.stdout).toMatch(/CUDA of the onnx engine is absent: .*Run: flexbert engine install onnx-cuda\n$/);
    expect(Object.keys(JSON.parse(run("engine list onnx-cuda --json").stdout))).toEqual(["onnxCuda"]);
    expect(run("engine remove onnx-cuda").stdout).toMatch(/^no such build is installed\./);
    expect(existsSync(path.join(cwd, "cache"))).toBe(false);
  });

  test("install says where another setting takes precedence over what it installs", () => {
    const { stderr } = run("engine install tensorflow --dry-run", { FLEXBERT_TFJS_NODE: "/a/package" });
    expect(stderr).toMatch(/warning: FLEXBERT_TFJS_NODE is set: --engine tensorflow takes \/a\/package/);
  });

  test("a build that does not load is refused, and leaves its wheel alone behind", () => {
    const { status, stderr } = run("engine install tensorflow --cpu");
    expect(status).toBe(1);
    expect(stderr).toMatch(/flexbert: the build does not run here: .*tfjs_binding\.node/);
    const [name = ""] = readdirSync(work);
    expect(readdirSync(path.join(work, name))).toEqual(["wheels"]);
    const listed = JSON.parse(run("engine list --json").stdout);
    expect(listed.tensorflow).toMatchObject({ builds: [], stopped: [name] });
    expect(run("engine list").stdout).toMatch(
      new RegExp(`${name}: its install or removal was stopped or is under way`),
    );
  });

  test("list says why there is none, and the next step", () => {
    const absent = { FLEXBERT_TFJS_NODE: path.join(cwd, "nowhere") };
    expect(run("engine list", absent).stdout).toMatch(/tensorflow is absent: FLEXBERT_TFJS_NODE names .*\. Name the /);
    const { tensorflow } = JSON.parse(run("engine list --json", absent).stdout);
    expect(tensorflow).toMatchObject({ taken: null, remedy: expect.stringMatching(/unset the variable$/) });
  });

  test("remove takes what matches, and says so where nothing does", () => {
    expect(run("engine remove tensorflow --version 2.9.0").stdout).toMatch(/no such build is installed \(2\.9\.0\)\./);
    expect(JSON.parse(run("engine remove tensorflow --dry-run --json").stdout).removed).toHaveLength(1);
    expect(readdirSync(work)).toHaveLength(1);
    expect(run("engine remove tensorflow").stdout).toMatch(/^removed 2\.21\.0-cpu-/);
    expect(readdirSync(work)).toEqual([]);
  });

  test("Ctrl-C ends pip, leaves nothing half done and says how to go on (130)", async () => {
    const { code, stderr } = await stopInstall("SIGINT");
    expect(code).toBe(130);
    expect(stderr).toMatch(/stopped; what was fetched is kept\. Go on with: flexbert engine install tensorflow --cpu/);
    expect(readdirSync(work)).toEqual([]);
  });

  test("after a kill the next one takes over and clears what lies there", async () => {
    await stopInstall("SIGKILL");
    const { stderr } = run("engine install tensorflow --cpu");
    expect(stderr).toMatch(/the build does not run here/); // it came to the end
    const [name = ""] = readdirSync(work);
    expect(readdirSync(path.join(work, name))).toEqual(["wheels"]);
  });

  test("--version after a command is its own option; before, flexbert's", () => {
    expect(run("--version").stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect(run("engine list --version").status).toBe(2);
  });
});
