// Jest gives each test file a realm of its own; native addons then refuse its typed arrays as foreign.
// This environment hands the outer realm's typed arrays to the tests.
const util = require("node:util");
const { TestEnvironment } = require("jest-environment-node");

const shared = [
  "ArrayBuffer",
  "Float32Array",
  "Float64Array",
  "Int8Array",
  "Int16Array",
  "Int32Array",
  "Uint8Array",
  "Uint8ClampedArray",
  "Uint16Array",
  "Uint32Array",
  "BigInt64Array",
  "BigUint64Array",
];

// tfjs-node 4.22 needs what Node 23 removed. flexbert gives it to that package alone through Node's loader, which Jest
// replaces by its own.
util.isNullOrUndefined ??= (value) => value === null || value === undefined;
util.isArray ??= Array.isArray;

module.exports = class extends TestEnvironment {
  async setup() {
    await super.setup();
    for (const name of shared) this.global[name] = globalThis[name];
  }
};
