// The probe of a CPU's features, on stand-ins for the addon that fault as a library does.

import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { cachedProbe, ISA_VARIABLE, probeAddon } from "../../../src/engines/tensorflow/cpu-probe";
import { temporaryFolder } from "../../files/temporary-folder";

let folder: string;
const before = process.env[ISA_VARIABLE];
beforeEach(() => {
  folder = temporaryFolder();
  delete process.env[ISA_VARIABLE];
});
afterEach(() => {
  if (before === undefined) delete process.env[ISA_VARIABLE];
  else process.env[ISA_VARIABLE] = before;
});

/** An addon whose products of bfloat16 run `fault` first; it counts its starts. */
function writeAddon(fault: string, product = 16): string {
  const addon = path.join(folder, "addon.js");
  const source = `
    require("node:fs").appendFileSync(${JSON.stringify(path.join(folder, "starts"))}, "x");
    const isa = process.env.${ISA_VARIABLE};
    module.exports = {
      TF_Version: "2.21.0", TF_FLOAT: 1, TF_ATTR_TYPE: 6, TF_ATTR_BOOL: 4,
      createTensor: () => 1,
      executeOp(name, attributes) {
        if (name === "MatMul" && attributes.some(({ value }) => value === 14)) { ${fault} }
        return [{ id: 2 }];
      },
      tensorDataSync: () => new Float32Array(64 * 64).fill(${product}),
    };`;
  writeFileSync(addon, source);
  return addon;
}

const starts = () =>
  existsSync(path.join(folder, "starts")) ? require("node:fs").statSync(path.join(folder, "starts")).size : 0;
const illegal = `process.kill(process.pid, "SIGILL"); while (true);`;

describe("probeAddon", () => {
  test("finds no limit where nothing faults", async () => {
    expect(await probeAddon(writeAddon(""))).toEqual({ isa: null, tensorflow: "2.21.0" });
  });

  test("is not misled by what a library writes to stdout", async () => {
    const addon = writeAddon(`process.on("exit", () => require("node:fs").writeSync(1, "onednn_verbose,v1,info\\n"));`);
    expect(await probeAddon(addon)).toEqual({ isa: null, tensorflow: "2.21.0" });
  });

  test("goes down to the instructions that do not fault", async () => {
    expect(await probeAddon(writeAddon(`if (!isa) { ${illegal} }`))).toMatchObject({ isa: "AVX512_CORE_BF16" });
    expect(await probeAddon(writeAddon(`if (isa !== "AVX2") { ${illegal} }`))).toMatchObject({ isa: "AVX2" });
  });

  test("says which signal ends a library that no setting helps", async () => {
    expect(await probeAddon(writeAddon(illegal))).toEqual({
      problem: expect.stringMatching(/ends with SIGILL on this CPU/),
    });
  });

  test("tries no other than the user's own setting, and names it", async () => {
    process.env[ISA_VARIABLE] = "AVX512_CORE";
    expect(await probeAddon(writeAddon(illegal))).toEqual({
      problem: expect.stringMatching(/with ONEDNN_MAX_CPU_ISA=AVX512_CORE$/),
    });
    expect(starts()).toBe(1);
  });

  test("takes a signal from outside for no fault: Ctrl-C must not leave a CPU limited for good", async () => {
    expect(await probeAddon(writeAddon(`process.kill(process.pid, "SIGINT"); while (true);`))).toEqual({
      problem: "TensorFlow's library was ended by SIGINT",
    });
    expect(starts()).toBe(1);
  });

  test("passes on what the library says when it does not load, and notices a wrong product", async () => {
    const addon = writeAddon("");
    writeFileSync(addon, `throw new Error("libstdc++.so.6: version GLIBCXX_3.4.30 not found")`);
    expect(await probeAddon(addon)).toEqual({ problem: "libstdc++.so.6: version GLIBCXX_3.4.30 not found" });
    expect(await probeAddon(writeAddon("", 15))).toEqual({ problem: "a product is wrong: 15, 15" });
  });
});

describe("cachedProbe", () => {
  test("asks once for a machine, a library and a setting", async () => {
    const addon = writeAddon("");
    const cache = path.join(folder, "cache");
    for (let i = 0; i < 3; i++) expect(await cachedProbe(addon, cache)).toMatchObject({ isa: null });
    expect(starts()).toBe(1);
    process.env[ISA_VARIABLE] = "AVX2";
    await cachedProbe(addon, cache);
    expect(starts()).toBe(2);
  });

  test("asks again after a library beside the addon changed: loading it might end the process", async () => {
    const addon = writeAddon("");
    const cache = path.join(folder, "cache");
    mkdirSync(path.join(folder, "tensorflow"));
    for (const content of ["one", "other"]) {
      writeFileSync(path.join(folder, "tensorflow/libtensorflow_cc.so.2"), content);
      for (let i = 0; i < 2; i++) await cachedProbe(addon, cache);
    }
    expect(starts()).toBe(2);
  });

  test("asks again where the cache is damaged, and does without one that cannot be written", async () => {
    const addon = writeAddon("");
    const cache = path.join(folder, "cache");
    await cachedProbe(addon, cache);
    const [file = ""] = readdirSync(path.join(cache, ".engines/cpu"));
    writeFileSync(path.join(cache, ".engines/cpu", file), "{");
    expect(await cachedProbe(addon, cache)).toMatchObject({ isa: null });
    mkdirSync(path.join(folder, "other"));
    writeFileSync(path.join(folder, "other/.engines"), "a file");
    expect(await cachedProbe(addon, path.join(folder, "other"))).toMatchObject({ isa: null });
    expect(starts()).toBe(3);
  });
});
