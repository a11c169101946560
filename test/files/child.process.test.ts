import { expect, test } from "@jest/globals";
import { runChild } from "../../src/files/child";

const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length;

test("a program that is not there leaves no timer, which would keep the process from ending", async () => {
  const before = timers();
  await expect(runChild("/nonexistent/program", [], { timeoutMs: 60_000 })).rejects.toMatchObject({ code: "ENOENT" });
  expect(timers()).toBe(before);
});

test("a time limit ends the program", async () => {
  const outcome = await runChild(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { timeoutMs: 200 });
  expect(outcome).toMatchObject({ code: null, signal: "SIGKILL" });
});
