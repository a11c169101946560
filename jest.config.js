// Tests come in tiers, told by place and name (CONTRIBUTING.md). `npx jest test/cli/help` runs a file of any of them.

/** Rooms whose tests need this process alone, and start no other. */
const unitRooms = [
  "client",
  ...["errors", "messages", "random", "files", "options", "settings", "model", "tasks", "data", "tokenizer", "batches"],
  ...["checkpoints", "selection", "experiment", "report", "serve/schedule", "serve/model"],
];
const unit = `/test/((${unitRooms.join("|")})/(.*/)?)?[^/.]+\\.test\\.ts$`;
const slow = "\\.(slow|soak)\\.test\\.ts$";

const shared = {
  roots: ["<rootDir>/test"],
  testEnvironment: "<rootDir>/test/environment.js",
  transform: {
    "^.+\\.ts$": [
      "@swc/jest",
      { jsc: { target: "es2022", parser: { syntax: "typescript" } }, module: { type: "commonjs" } },
    ],
  },
  // Dynamic imports carry the extension that Node asks for.
  moduleNameMapper: { "^(\\.{1,2}/.*)\\.js$": "$1" },
};
const built = { globalSetup: "<rootDir>/test/build.js" };

/** @type {import('jest').Config} */
module.exports = {
  // A hang ends, and nothing else does for its time: a busy machine takes ten times as long.
  testTimeout: 3_600_000,
  // Jest leaves a core free by itself, which on two of them is half: most tests wait for processes of their own.
  maxWorkers: "100%",
  projects: [
    { ...shared, displayName: "unit", testRegex: unit, setupFiles: ["<rootDir>/test/no-processes.js"] },
    { ...shared, ...built, displayName: "process", testMatch: ["**/*.test.ts"], testPathIgnorePatterns: [unit, slow] },
    { ...shared, ...built, displayName: "slow", testRegex: slow },
  ],
};
