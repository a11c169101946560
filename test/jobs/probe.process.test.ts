// The probe of a shared file system, by two processes: this machine's has all of it, and what lacks something is found out.

import { readdirSync } from "node:fs";
import path from "node:path";
import { expect, test } from "@jest/globals";
import { probeWith } from "../../src/jobs/probe/probe";
import { flexbert } from "../cli/flexbert";
import { temporaryFolder } from "../tiny";

const cwd = temporaryFolder();

test("an ordinary disk has all of it, and nothing is left behind", () => {
  const { status, stdout } = flexbert(["jobs", "probe", "shared"], { cwd });
  expect(stdout).toMatch(/^ok {2}O_EXCL .*\nok {2}link .*\nok {2}rename .*\nok {2}mtime .*\n$/);
  expect(status).toBe(0);
  expect(readdirSync(path.join(cwd, "shared"))).toEqual([]);
});

test("two that each come from elsewhere meet in the folder", async () => {
  const { signal } = new AbortController();
  const [first, second] = await Promise.all(
    (["first", "second"] as const).map((role) => probeWith(path.join(cwd, "met"), role, signal)),
  );
  expect(first?.map(({ problem }) => problem)).toEqual([null, null, null, null]);
  expect(second).toEqual([]);
});

test("who cannot write there is told so", () => {
  const { status, stderr } = flexbert(["jobs", "probe", "/proc/flexbert"], { cwd });
  expect([status, stderr]).toEqual([1, expect.stringMatching(/\/proc\/flexbert/)]);
});
