// The last steps of an experiment are done once for what they start from.

import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "@jest/globals";
import { doOnce, outputsIn } from "../../src/experiment/steps";
import { temporaryFolder } from "../files/temporary-folder";

const folder = temporaryFolder();
const outputs = outputsIn(folder);
const { signal } = new AbortController();
const reporter = { log: () => undefined, warn: () => undefined, progress: () => ({ advance() {}, end() {} }) };

test("a step is done once for its inputs, again for others, for a lost product and with force", async () => {
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

test("a report without its page is written again", async () => {
  const page = path.join(outputs.report, "index.html");
  const step = () =>
    doOnce(
      {
        step: "report",
        outputs,
        inputs: async () => "a",
        force: false,
        work: async () => {
          mkdirSync(outputs.report, { recursive: true });
          writeFileSync(page, "");
        },
      },
      { reporter, signal },
    );
  expect([await step(), await step()]).toEqual(["done", "skipped"]);
  rmSync(page);
  expect(await step()).toBe("done");
});
