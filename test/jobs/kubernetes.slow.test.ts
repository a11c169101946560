// What is handed to Kubernetes, held to the API's own schema, and each container's command run here, index by index, over one
// folder in the volume's place. bench/cluster/kubernetes.sh does both; of pods, retries and volumes nothing is tried.

import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { beforeAll, expect } from "@jest/globals";
import { cwd, run, table, weights } from "../cli/experiment";
import { bin, flexbert } from "../cli/flexbert";
import { onWindows, unless } from "../skips";

const script = path.join(__dirname, "../../bench/cluster/kubernetes.sh");
const work = process.env["KUBERNETES_WORK"] ?? path.join(os.tmpdir(), "flexbert-kubernetes");
const noSchema =
  !["bin/kubeconform", "schemas/job-batch-v1.json"].every((name) => existsSync(path.join(work, name))) &&
  `no kubeconform and schemas in ${work}: bench/cluster/kubernetes.sh validate FILE.yaml makes them, with Go`;

const written = (name: string) => {
  const { status, stdout } = flexbert(`jobs submit ${name} --on kubernetes --dry-run --out pods`.split(" "), { cwd });
  expect(status).toBe(0);
  const file = path.join(cwd, "objects.yaml");
  writeFileSync(file, stdout);
  return file;
};
const validate = (file: string) => spawnSync(script, ["validate", file], { encoding: "utf8" });

beforeAll(() => {
  const small = readFileSync(path.join(cwd, "small.yaml"), "utf8");
  const all =
    "image: 'registry.example/flexbert:1@sha256:0', volume: data, queue: gpu, namespace: team, retries: 3, max_failed: 2, storage: 1GiB, storage_class: fast";
  const ends = "select: { threshold: 1 }\nreport: true\n";
  writeFileSync(
    path.join(cwd, "full.yaml"),
    `${small}${ends}jobs: { gpus: 1, device: cuda, kubernetes: { ${all} } }\n`,
  );
  const few = "engine: wasm, cpus: 1, pack: 3, kubernetes: { image: flexbert, volume: data }";
  writeFileSync(path.join(cwd, "few.yaml"), `${small}jobs: { ${few} }\n`);
});

unless(onWindows || noSchema).test(
  "every object is valid by the API's schema, and a key that it does not know is not",
  () => {
    for (const name of ["full.yaml", "few.yaml"]) {
      const { status, stdout } = validate(written(name));
      expect([status, stdout]).toEqual([0, expect.stringMatching(/Invalid: 0, Errors: 0, Skipped: 0/)]);
    }
    const file = written("full.yaml");
    writeFileSync(file, readFileSync(file, "utf8").replace("backoffLimitPerIndex", "backoffLimitPerPod"));
    const { status, stdout } = validate(file);
    expect([status, stdout]).toEqual([
      1,
      expect.stringMatching(/additional properties 'backoffLimitPerPod' not allowed/),
    ]);
  },
);

unless(onWindows).test("the commands of all indexes leave the table and weights of one process", () => {
  const printed = execFileSync(script, ["commands", written("few.yaml"), cwd, process.execPath, bin], {
    encoding: "utf8",
  });
  const names = ["finetune 0", "finetune 1", "finetune 2", "finetune 3", "distill 0", "distill 1", "merge 0"];
  expect(printed.trim().split("\n")).toEqual(names.map((name) => expect.stringMatching(new RegExp(`-${name}: 0$`))));
  expect(run("--out alone --threads 1").status).toBe(0);
  expect(flexbert("jobs collect few.yaml --out pods".split(" "), { cwd }).status).toBe(0);
  expect(table("pods")).toBe(table("alone"));
  expect(weights("pods")).toEqual(weights("alone"));
});
