// Before the first test: dist/ is built where it is older than src/, because many tests run the built command line.
const { spawnSync } = require("node:child_process");
const path = require("node:path");

module.exports = () => {
  const { status } = spawnSync(process.execPath, [path.join(__dirname, "../.ci/build.mjs")], { stdio: "inherit" });
  if (status !== 0) throw new Error("no test runs, because dist/ is not built: mend what the compiler says above");
};
