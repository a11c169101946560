// In tests of the tier "unit" nothing starts a process.
const refuse = (name) => () => {
  throw new Error(`${name}: a unit test starts no process. Name the file *.process.test.ts`);
};

jest.mock("node:child_process", () =>
  Object.fromEntries(
    ["exec", "execFile", "execFileSync", "execSync", "fork", "spawn", "spawnSync"].map((name) => [name, refuse(name)]),
  ),
);
