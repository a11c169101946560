// Every command on files of any damage: an exit code and one line, never a stack, a hang, a gigabyte or a control character.

import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { atLength, soakSeeds } from "../soak";
import { campaign } from "./campaign";
import { Host, type Runner } from "./host";
import { processes } from "./process";
import { type Reader, readers } from "./readers";
import { makeWorkspace, type Workspace } from "./workspace";

/** Ten thousand of each reader in fifty shares; the slow tests take a twentieth of the first one. */
const CASES = atLength ? 200 : 10;

let workspace: Workspace;
beforeAll(async () => {
  workspace = await makeWorkspace();
});

async function expectNoFaults(name: string, cases: number, runner: Runner): Promise<void> {
  const reader = readers[name] as Reader;
  const codes: Record<string, number> = {};
  const started = performance.now();
  const faults = await campaign(
    reader,
    Math.ceil(cases * (reader.share ?? 1)),
    workspace,
    runner,
    ({ status }, fault) => {
      if (fault && atLength) process.stderr.write(`${name}: ${JSON.stringify(fault)}\n`); // hours before the test's end
      codes[String(status)] = (codes[String(status)] ?? 0) + 1;
    },
  );
  if (atLength) {
    const minutes = ((performance.now() - started) / 60_000).toFixed(1);
    console.log(`${name}: seeds from ${soakSeeds[0]}, ${minutes} min, cases by exit code ${JSON.stringify(codes)}`);
  }
  expect(faults.slice(0, 5)).toEqual([]);
}

describe("in a process that runs one command after the other", () => {
  let host: Host;
  beforeAll(() => {
    host = new Host(workspace);
  });
  afterAll(() => host.close());

  test.each(Object.keys(readers))("%s", (name) => expectNoFaults(name, CASES, host));
});

describe("in a process of its own", () => {
  const some = Object.keys(readers).filter((_, i) => atLength || i % 5 === 0);
  test.each(some)("%s", (name) => expectNoFaults(name, 1, processes(workspace)));
});
