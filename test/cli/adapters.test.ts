// flexbert finetune --method from the command line to a served model, and as blocks of an experiment file.

import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "@jest/globals";
import { tinyWorkspace } from "./tiny-workspace";

const common = "--base tiny --max-length 32 --epochs 1 --batch-size 8";
const lora = "finetune --task rte --method lora --rank 2 --learning-rate 1e-3";
const { cwd, run } = tinyWorkspace([
  `${lora} ${common}`,
  `finetune --task stsb --method houlsby --adapter-size 4 --k 2 ${common}`,
]);
const at = (name: string) => path.join(cwd, name);
const ok = (line: string) => {
  const { status, stdout, stderr } = run(line);
  expect({ line, status, stderr: status === 0 ? "" : stderr }).toEqual({ line, status: 0, stderr: "" });
  return { stdout, stderr };
};

test("the table says whose k these are, a repeated command trains nothing, and config.yaml is the same run", () => {
  const { stdout } = ok(`${lora} ${common}`);
  expect(stdout).toMatch(/^rte: dev accuracy by k of lora, in points\n\s*k +max .*\n *4 /m);
  expect(stdout).toMatch(/^0 runs trained, 1 finished before/m);
  const [{ runs, teacher, search }] = JSON.parse(ok(`${lora} ${common} --json`).stdout).tasks;
  expect([teacher, search, runs.length]).toEqual([null, null, 1]);
  expect(path.basename(runs[0].folder)).toMatch(/^k04-lora-r2-seed1-[0-9a-f]{8}$/);
  const config = path.join(runs[0].folder, "config.yaml");
  expect(readFileSync(at(config), "utf8")).toMatch(
    /^k: 4\n[\s\S]*^method: lora\nrank: 2\nlora_alpha: 8\nlora_on: query,value\n/m,
  );
  expect(ok(`finetune --config ${config}`).stdout).toMatch(/^0 runs trained, 1 finished before/m);
});

test("the dry run counts small tensors as trained, and the layers beside them as frozen", () => {
  const { trials } = JSON.parse(ok(`${lora} ${common} --seed 2 --dry-run --json`).stdout);
  const head = 16 * 16 + 16 + 2 * 16 + 2;
  expect(trials).toMatchObject([{ fork: 0, layers: 4, trainable: 4 * 2 * 2 * 2 * 16 + head, finished: false }]);
});

test("status has them apart from teachers, and distill has none to learn from", () => {
  const { stdout } = ok("status");
  expect(stdout).toMatch(/^base +task +runs +teacher +students +adapters +next\n/m);
  expect(stdout).toMatch(
    /^tiny +rte +0 of 0 +- +- +lora k=4 \S+ +flexbert merge --select lora --out merged\/ --base tiny/m,
  );
  const { status, stderr } = run(`distill --task rte --student-layers 1 ${common}`);
  expect([status, stderr]).toEqual([
    4,
    expect.stringMatching(
      /no teacher for rte in \S+ \(students learn from trained layers, and it has runs of --method alone\)\. Run: /,
    ),
  ]);
});

test("merged by their methods' names they are inspected, predict and are scored, and go where their tensors can", () => {
  const { stderr } = ok("merge --base tiny --select rte=lora,stsb=houlsby --out merged");
  expect(stderr).toMatch(/rte: lora of 4 layers above fork 0, /);
  const { stdout } = ok("inspect merged");
  expect(stdout).toMatch(/^rte: lora, \S+ parameters of its own; its 4 layers are the base's, and run for it alone$/m);
  expect(stdout).toMatch(/^stsb: houlsby, \S+ parameters of its own; its 2 layers /m);
  const rows = ok("predict --model merged --task stsb,rte --text good --pair film --json").stdout.trim().split("\n");
  expect(rows).toHaveLength(1);
  const scores = JSON.parse(ok("eval --model merged --json").stdout) as { task: string; score: number }[];
  expect(scores.map(({ task }) => task)).toEqual(["rte", "stsb"]);
  for (const format of ["transformers", "safetensors"]) {
    const { status, stderr: refused } = run(`export ${format} --model merged --out ${format}`);
    expect([status, refused]).toEqual([
      4,
      expect.stringMatching(
        /stsb has adapters \(houlsby\), which transformers' classes do not know: .* Export onnx, saved-model or tfjs, or name other/,
      ),
    ]);
    ok(`export ${format} --model merged --task rte --out ${format} --dry-run`);
  }
});

test("an experiment trains blocks of both, its teacher is of trained layers, and merge may take a method", () => {
  const file = at("both.yaml");
  const text = `base: tiny
tasks: [rte]
max_length: 32
batch_size: 8
epochs: 1
finetune:
  - k: 1-2
  - { k: full, method: [lora, pfeiffer], rank: 2, adapter_size: 3, learning_rate: 1e-3 }
distill: { student_layers: 1 }
merge: { select: pfeiffer }
report: true
`;
  writeFileSync(file, text);
  const { stderr } = run("run both.yaml --out both");
  expect(stderr).toMatch(/both\.yaml: adapter-size: it is an option of --method houlsby and pfeiffer\. Leave it out/);
  writeFileSync(
    file,
    text.replace(
      /^ {2}- \{ k: full.*\n/m,
      "  - { k: full, method: lora, rank: [2, 3], learning_rate: 1e-3 }\n  - { k: 3, method: pfeiffer, adapter_size: 3 }\n",
    ),
  );
  const planned = JSON.parse(ok("plan both.yaml --out both --json").stdout).trials as {
    method?: string;
    layers: number;
  }[];
  expect(planned.map(({ layers, method }) => [layers, method ?? null])).toEqual([
    [2, null],
    [1, null],
    [4, "lora"],
    [4, "lora"],
    [3, "pfeiffer"],
    [1, null],
  ]);
  ok("run both.yaml --out both");
  const manifest = JSON.parse(ok("inspect both/merged --json").stdout);
  expect(manifest.tasks).toMatchObject([{ name: "rte", layers: 3, adapter: { method: "pfeiffer" } }]);
  const teachers = JSON.parse(ok("status --checkpoints both/checkpoints --json").stdout);
  expect(teachers[0].teacher).toMatch(/k0[12]-seed1-/);
});

test.each([
  [
    "search: halving\nfinetune: { k: full, method: lora }\n",
    /search: halving compares trained layers, not small tensors over frozen ones \(method\)/,
  ],
  [
    "finetune: { k: full, method: lora }\ndistill: { student_layers: 1 }\n",
    /finetune: trains no layers, which leaves no teacher: add a block/,
  ],
  ["finetune:\n  - k: full\n  - { k: 2, method: lora }\nmerge: true\n", /finetune.*k: full alone leaves no teacher/],
])("an experiment with %j is refused", (lines, message) => {
  writeFileSync(at("refused.yaml"), `base: tiny\ntasks: [rte]\n${lines}`);
  const { status, stderr } = run("plan refused.yaml");
  expect([status, stderr]).toEqual([2, expect.stringMatching(message)]);
});
