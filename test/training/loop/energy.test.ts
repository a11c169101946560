// The energy meter on a made-up powercap folder: packages are summed, counters wrap around, and what cannot be read is
// unknown rather than too little.

import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "@jest/globals";
import { openEnergyMeter } from "../../../src/training/loop/energy";
import { temporaryFolder } from "../../tiny";

const root = temporaryFolder();

function write(folder: string, name: string, microjoules: number, range = 1e9): void {
  const zone = path.join(root, folder, name);
  mkdirSync(zone, { recursive: true });
  writeFileSync(path.join(zone, "energy_uj"), `${microjoules}\n`);
  writeFileSync(path.join(zone, "max_energy_range_uj"), `${range}\n`);
}

test("sums the packages, not their parts, and takes a wrapped counter for what it is", () => {
  const set = (first: number, second: number) => {
    write("two", "intel-rapl:0", first);
    write("two", "intel-rapl:1", second);
    write("two", "intel-rapl:0:0", first); // a part of the first package
    write("two", "intel-rapl-mmio:0", first); // the same package, read another way
  };
  set(100e6, 900e6);
  const meter = openEnergyMeter(path.join(root, "two"));
  expect(meter()).toBe(0);
  set(130e6, 950e6);
  expect(meter()).toBeCloseTo(80, 9);
  set(130e6, 20e6);
  expect(meter()).toBeCloseTo(150, 9);
});

test("is unknown without counters, with a package that cannot be read, and once one goes away", () => {
  expect(openEnergyMeter(path.join(root, "none"))()).toBeNull();
  mkdirSync(path.join(root, "empty"));
  expect(openEnergyMeter(path.join(root, "empty"))()).toBeNull();
  write("half", "intel-rapl:0", 5e6);
  mkdirSync(path.join(root, "half/intel-rapl:1"));
  symlinkSync("nowhere", path.join(root, "half/intel-rapl:1/energy_uj"));
  expect(openEnergyMeter(path.join(root, "half"))()).toBeNull();
  write("gone", "intel-rapl:0", 5e6);
  const meter = openEnergyMeter(path.join(root, "gone"));
  expect(meter()).toBe(0);
  rmSync(path.join(root, "gone/intel-rapl:0/energy_uj"));
  expect(meter()).toBeNull();
  write("gone", "intel-rapl:0", 9e6);
  expect(meter()).toBeNull(); // a gap stays unknown
});
