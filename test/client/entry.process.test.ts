// `flexbert/client` as others load it: by import and by require, of the same names, and without anything of Node's.

import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "@jest/globals";

const root = path.join(__dirname, "../..");

test.each([
  ["import", 'import * as client from "flexbert/client"; console.log(Object.keys(client).sort().join());'],
  ["require", 'const client = require("flexbert/client"); console.log(Object.keys(client).sort().join());'],
])("%s gives the client and its error", (how, script) => {
  const type = how === "import" ? "module" : "commonjs";
  const { stdout, stderr } = spawnSync(process.execPath, [`--input-type=${type}`, "-e", script], {
    cwd: root,
    encoding: "utf8",
  });
  expect([stdout, stderr]).toEqual(["FlexbertClient,FlexbertError\n", ""]);
});

test("browsers load it as it lies: relative modules with their extensions, and no package", () => {
  const folder = path.join(root, "dist/browser/client");
  const files = readdirSync(folder).filter((file) => file.endsWith(".js"));
  expect(files).toContain("index.js");
  const named = files.flatMap((file) =>
    [...readFileSync(path.join(folder, file), "utf8").matchAll(/^(?:import|export|}) .*from "([^"]+)"/gm)].map(
      ([, name]) => name as string,
    ),
  );
  expect(named.length).toBeGreaterThan(3);
  expect(named.filter((name) => !/^\.\/\w+\.js$/.test(name) || !files.includes(name.slice(2)))).toEqual([]);
});
