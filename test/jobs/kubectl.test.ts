// What is asked of kubectl and what is made of its answers, with a kubectl that a test plays: no cluster was tried.

import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "@jest/globals";
import type { JobWork, Submission, SubmittedArray } from "../../src/jobs/job-system";
import { kubernetes } from "../../src/jobs/kubernetes/kubernetes";
import { arraysOf, type Stage } from "../../src/jobs/stages";
import { onWindows, unless } from "../skips";
import { temporaryFolder } from "../tiny";

const folder = temporaryFolder();
const PATH = process.env["PATH"];
const file = (name: string) => path.join(folder, name);
const asked = () => (existsSync(file("asked")) ? readFileSync(file("asked"), "utf8").trim().split("\n") : []);

beforeAll(() => {
  const script = `#!/bin/sh
echo "$*" >> '${file("asked")}'
case "$*" in
  apply*) [ ! -e '${file("refuses")}' ] || { echo "error: quota exceeded" >&2; exit 1; } ;;
  *--output=name) cat '${file("there")}' 2>/dev/null || true ;;
  get*) cat '${file("jobs.json")}' ;;
esac
`;
  writeFileSync(file("kubectl"), script);
  chmodSync(file("kubectl"), 0o755);
  process.env["PATH"] = `${folder}:${PATH}`;
});
afterAll(() => {
  process.env["PATH"] = PATH;
});
beforeEach(() => {
  for (const name of ["asked", "refuses", "there"]) rmSync(file(name), { force: true });
});

const finetune: Stage = { name: "finetune", packs: ["0", "1", "2-4", "5", "6", "7", "8", "9"], after: "ended" };
const work = {
  experiment: { name: "glue", file: "glue.yaml", jobs: { kubernetes: { namespace: "team" } } },
  number: 3,
  folder,
  arrays: arraysOf([finetune, { name: "merge", packs: null, after: "succeeded" }], 100),
} as unknown as JobWork;
const named = "get jobs glue-0003-finetune glue-0003-merge --namespace=team --ignore-not-found --output=name";
const selected =
  "--selector=app.kubernetes.io/name=flexbert,flexbert/experiment=glue,flexbert/submission=0003 --namespace=team";
const labelled = `get jobs ${selected} --output=name`;
const everything = `delete jobs,configmaps,rolebindings,roles,serviceaccounts ${selected} --ignore-not-found --wait=false`;

async function submitted(): Promise<SubmittedArray[]> {
  const arrays: SubmittedArray[] = [];
  await kubernetes.submit(work, [], async (array) => void arrays.push(array));
  return arrays;
}

const submission = async (): Promise<Submission> => {
  const arrays = await submitted();
  return {
    ...{ format: 1, system: "kubernetes", number: 3, plan: "00000000", at: "" },
    ...{ experiment: "glue", namespace: "team", arrays },
  };
};

unless(onWindows).describe("kubectl", () => {
  test("a submission is applied whole, after a look whether its names are free", async () => {
    expect((await submitted()).map(({ id }) => id)).toEqual(["glue-0003-finetune", "glue-0003-merge"]);
    expect(asked()).toEqual([named, labelled, `apply --server-side -f ${path.join(folder, "jobs.yaml")}`]);
  });

  test("Jobs of the same names are another project's, and stay as they are", async () => {
    writeFileSync(file("there"), "job.batch/glue-0003-finetune\n");
    const message = expect.stringMatching(/job\.batch\/glue-0003-finetune already.*rename glue\.yaml/);
    await expect(submitted()).rejects.toMatchObject({ exitCode: 2, message });
    expect(asked()).toEqual([named]);
  });

  test("of a submission that was refused nothing stays, and the cluster's own words are the error", async () => {
    writeFileSync(file("refuses"), "");
    await expect(submitted()).rejects.toMatchObject({ exitCode: 1, message: expect.stringMatching(/quota exceeded/) });
    expect(asked().at(-1)).toBe(everything);
  });

  test("indexes by what the Job says of them: no more running than it has pods, the others wait", async () => {
    const status = { active: 2, completedIndexes: "0,3", failedIndexes: "2" };
    const merge = { metadata: { name: "glue-0003-merge" }, spec: { suspend: true } };
    const items = [{ metadata: { name: "glue-0003-finetune" }, spec: {}, status }, merge];
    writeFileSync(file("jobs.json"), JSON.stringify({ items }));
    const jobs = await kubernetes.look(await submission(), folder);
    const states = ["done", "running", "failed", "done", "running", "pending", "pending", "pending", "pending"];
    expect(jobs.map(({ state }) => state)).toEqual(states);
    expect(jobs.at(-1)?.reason).toBe("waits for the stage before it");
  });

  test("what a Job that is over or deleted has not done is gone", async () => {
    const over = { completedIndexes: "0-6", conditions: [{ type: "Failed", status: "True" }] };
    const items = [{ metadata: { name: "glue-0003-finetune" }, spec: {}, status: over }];
    writeFileSync(file("jobs.json"), JSON.stringify({ items }));
    const jobs = await kubernetes.look(await submission(), folder);
    expect(jobs.slice(6).map(({ state }) => state)).toEqual(["done", "gone", "gone"]);
  });

  test("a log is what prints it", async () => {
    const made = await submission();
    const [array] = made.arrays;
    expect(kubernetes.whereLog(made, folder, array as SubmittedArray, 2)).toBe(
      "kubectl logs --selector=batch.kubernetes.io/job-name=glue-0003-finetune,batch.kubernetes.io/job-completion-index=2 " +
        "--tail=-1 --namespace=team",
    );
  });

  test("cancelling takes all of a submission but the volume, or some Jobs alone", async () => {
    const made = await submission();
    await kubernetes.cancel(made, made.arrays);
    expect(asked().at(-1)).toBe(everything);
    await kubernetes.cancel(made, made.arrays.slice(1));
    expect(asked().at(-1)).toBe("delete jobs glue-0003-merge --namespace=team --ignore-not-found --wait=false");
  });
});
