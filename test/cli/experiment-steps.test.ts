// A step of an experiment whose command is absent, or lacks an option, is an error before anything is trained.

import { writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "@jest/globals";
import { requireCommand, type StepContext } from "../../src/cli/experiment-steps";
import { mergeCommand } from "../../src/cli/merge";
import { readExperiment } from "../../src/experiment/read";
import { doOnce, outputsIn } from "../../src/experiment/steps";
import { temporaryFolder } from "../files/temporary-folder";

const folder = temporaryFolder();

async function context(): Promise<StepContext> {
  const file = path.join(folder, "e.yaml");
  writeFileSync(file, "tasks: rte\nfinetune: {k: 1}\nselect: {threshold: 1}\nmerge: true\nreport: true\n");
  const experiment = await readExperiment(file);
  return { experiment, outputs: outputsIn(folder), checkpoints: folder, glueData: "" };
}

test("an absent command", async () => {
  await expect(requireCommand("report", await context(), {})).rejects.toMatchObject({
    exitCode: 2,
    message: expect.stringMatching(
      /the step report needs the command report, which this flexbert lacks. Take report out/,
    ),
  });
});

test("an absent option", async () => {
  const merge = async () => mergeCommand;
  await expect(requireCommand("select", await context(), { select: merge })).rejects.toThrow(
    /flexbert select has no option for threshold \(1\)/,
  );
  await expect(requireCommand("merge", await context())).resolves.toBeUndefined();
});

test("a step is done once for its inputs, again for others, for a lost product and with force", async () => {
  const outputs = outputsIn(folder);
  const { signal } = new AbortController();
  const reporter = { log: () => undefined, warn: () => undefined, progress: () => ({ advance() {}, end() {} }) };
  let done = 0;
  const step = (inputs: string, { writes = true, force = false } = {}) =>
    doOnce(
      {
        step: "select",
        outputs,
        inputs: async () => inputs,
        force,
        work: async () => {
          done++;
          if (writes) writeFileSync(outputs.selection, "{}");
        },
      },
      { reporter, signal },
    );
  expect(await step("a", { writes: false })).toBe("done");
  expect(await step("a")).toBe("done"); // nothing was written
  expect(await step("a")).toBe("skipped");
  expect(await step("b")).toBe("done");
  expect(await step("b", { force: true })).toBe("done");
  writeFileSync(path.join(folder, "steps/select.json"), "{");
  expect(await step("b")).toBe("done");
  const both = await Promise.all([step("c"), step("c")]);
  expect(both.sort()).toEqual(["done", "skipped"]);
  expect(done).toBe(6);
});
