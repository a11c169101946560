// Training on --device webgpu from the command line, over SwiftShader: the run that the CPU makes, under the same id.

import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, expect } from "@jest/globals";
import { writeBase } from "../../src/checkpoints/bases/random-base";
import { readSafetensors } from "../../src/checkpoints/formats/safetensors";
import { cachedFolder } from "../../src/files/cache";
import type { HostTensor } from "../../src/model/tensors";
import { largestDifference } from "../engines/curves";
import { onSwiftShader, webgpuAbsence } from "../engines/devices";
import { unless } from "../skips";
import { temporaryFolder, tinyBase, writeTinyGlue } from "../tiny";
import { flexbert } from "./flexbert";

const cwd = temporaryFolder();
const env = { FLEXBERT_CACHE: path.join(cwd, "cache"), ...onSwiftShader };
const run = (line: string) => {
  const { status, stderr } = flexbert(line.split(" "), { cwd, env });
  expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
  return stderr;
};

beforeAll(async () => {
  await writeBase(tinyBase("tiny", { dropout: 0.1 }), cachedFolder("tiny", env.FLEXBERT_CACHE));
  writeTinyGlue(path.join(cwd, "glue-data"));
});

/** Paths below a folder of every file with this name. */
const filesOf = (folder: string, name: string): string[] =>
  readdirSync(path.join(cwd, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => path.basename(file) === name)
    .sort();

const absent = webgpuAbsence();
if (absent !== null) console.warn(`SKIPPED: training on --device webgpu, because ${absent}`);

const teach = "finetune --base tiny --task rte --k 2 --epochs 1 --max-length 32 --engine onnx";
const distil = "distill --base tiny --task rte --student-layers 1 --epochs 1 --max-length 32 --engine onnx";

unless(absent).test(
  "finetune makes the CPU's run, dropout and all, and on the CPU it is found done; distill goes on",
  async () => {
    expect(run(`${teach} --device webgpu --checkpoints there`)).toMatch(/engine: onnx \(.*webgpu on SwiftShader/);
    run(`${teach} --checkpoints here`);
    const [record] = filesOf("there", "run.json");
    expect([record]).toEqual(filesOf("here", "run.json"));
    const read = (folder: string) => JSON.parse(readFileSync(path.join(cwd, folder, record as string), "utf8"));
    expect(read("there").engine).toMatch(/webgpu/);
    expect(read("there").options).toEqual(read("here").options);
    const [file] = filesOf("there", "model.safetensors");
    const weights = async (folder: string) => (await readSafetensors(path.join(cwd, folder, file as string))).tensors;
    const [there, here] = [await weights("there"), await weights("here")];
    expect(Object.keys(there)).toEqual(Object.keys(here));
    for (const [name, { data }] of Object.entries(there)) {
      expect(largestDifference(data, [...(here[name] as HostTensor).data])).toBeLessThan(1e-4);
    }
    const again = run(`${teach} --checkpoints there`);
    expect(again).not.toMatch(/epoch/);
    expect(read("there").engine).toMatch(/webgpu/);
    run(`${distil} --device webgpu --checkpoints there`);
    expect(filesOf("there", "run.json")).toHaveLength(2);
  },
);
