// What `npm pack` would put into the tarball.

import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import path from "node:path";

const root = path.join(__dirname, "..");
test("the tarball holds the program, the documents and the licences, and none of the tests and sources", () => {
  // Through the shell, because npm is a .cmd file on Windows.
  const { status, stdout, stderr } = spawnSync("npm pack --dry-run --json --ignore-scripts", {
    cwd: root,
    encoding: "utf8",
    shell: true,
  });
  expect([status, status === 0 ? "" : stderr]).toEqual([0, ""]);
  const [{ files }]: [{ files: { path: string }[] }] = JSON.parse(stdout);
  const packed = files.map((file) => file.path);
  const documents = readdirSync(path.join(root, "docs"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)).replaceAll(path.sep, "/"));
  const legal = ["LICENSE", "THIRD-PARTY-LICENSES.md", "SECURITY.md", "README.md", "CHANGELOG.md"];
  const program = ["bin/flexbert.js", "dist/cli/main.js", "experiments/smoke.yaml", "glue-data/sample/tasks.yaml"];
  expect(documents.length).toBeGreaterThan(5);
  expect([...documents, ...legal, ...program].filter((file) => !packed.includes(file))).toEqual([]);
  const folders = new Set(packed.map((file) => file.replace(/\/.*/, "")));
  expect([...folders].filter((folder) => /^(src|test|bench|node_modules|checkpoints|\..*)$/.test(folder))).toEqual([]);
});
