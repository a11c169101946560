// The command that brings what npm left out, for each place that flexbert can be installed in.

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "@jest/globals";
import { npmCommand } from "../../src/files/optional-packages";
import { temporaryFolder } from "../tiny";

const root = temporaryFolder();

/** A flexbert in root/`place` that wants onnxruntime-node 9.8.7. */
function installIn(place: string): string {
  const folder = path.join(root, place);
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, "package.json"), '{"optionalDependencies": {"onnxruntime-node": "9.8.7"}}');
  return folder;
}

test("a clone installs into itself", () => {
  const folder = installIn("clone");
  expect(npmCommand("onnxruntime-node", folder)).toBe(
    `npm install --prefix ${folder} --ignore-scripts --no-save onnxruntime-node@9.8.7`,
  );
});

test("a project's flexbert installs into the project, not into flexbert's own folder", () => {
  const folder = installIn("my project/node_modules/flexbert");
  const project = path.join(root, "my project");
  writeFileSync(path.join(project, "package.json"), "{}");
  expect(npmCommand("onnxruntime-node", folder)).toBe(
    `npm install --prefix "${project}" --ignore-scripts --no-save onnxruntime-node@9.8.7`,
  );
});

test("a global one installs globally", () => {
  const folder = installIn("lib/node_modules/flexbert");
  expect(npmCommand("onnxruntime-node", folder)).toBe("npm install --global --ignore-scripts onnxruntime-node@9.8.7");
});

test("flexbert's own list names both packages with their versions", () => {
  for (const name of ["@tensorflow/tfjs-node-gpu", "onnxruntime-node"] as const) {
    expect(npmCommand(name)).toMatch(new RegExp(`^npm install .* ${name}@\\d+\\.\\d+\\.\\d+$`));
  }
});
