// Loaded before a command: says at its end how much memory and processor time the process took.

const { writeFileSync } = require("node:fs");

process.on("exit", () => {
  const { maxRSS, userCPUTime, systemCPUTime } = process.resourceUsage();
  const usage = { peakBytes: maxRSS * 1024, seconds: (userCPUTime + systemCPUTime) / 1e6 };
  writeFileSync(process.env.FLEXBERT_TEST_PEAK, JSON.stringify(usage));
});
