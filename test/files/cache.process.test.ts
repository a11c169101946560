import { spawnSync } from "node:child_process";
import path from "node:path";
import { expect } from "@jest/globals";
import { onWindows, unless } from "../skips";

unless(onWindows).test("a user without a home folder is told of FLEXBERT_CACHE", () => {
  const script = `require(${JSON.stringify(path.join(__dirname, "../../dist/files/cache.js"))}).cacheFolder()`;
  const env = { PATH: process.env["PATH"], HOME: "" };
  const { stderr } = spawnSync(process.execPath, ["-e", script], { env, encoding: "utf8" });
  expect(stderr).toMatch(/this user has no home folder, .* name a folder in FLEXBERT_CACHE/);
});
