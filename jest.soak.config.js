// The soak tests at length, by hand: fifty shares, of which the slow tests run one. See test/soak.ts.
const { projects, testTimeout } = require("./jest.config.js");

const slow = projects.find(({ displayName }) => displayName === "slow");

/** @type {import('jest').Config} */
module.exports = {
  ...slow,
  testTimeout: 48 * testTimeout,
  testRegex: "\\.soak\\.test\\.ts$",
  globals: { soakShares: 50 },
};
