// Energy of the machine's processor packages, from Linux's RAPL counters (powercap). They count everything that the
// machine does, not this process alone, and most systems let only root read them: elsewhere energy is unknown.

import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";

const POWERCAP = "/sys/class/powercap";

/** A package, "intel-rapl:0"; its parts, "intel-rapl:0:1", are counted in it. AMD's carry the same name. */
const packageName = /^intel-rapl:\d+$/;

/** Joules since the meter was opened, or null where the machine does not say. */
export type EnergyMeter = () => number | null;

/** The counters wrap around, so read the meter at least every few minutes: a package that wraps twice is missed. */
export function openEnergyMeter(powercap = POWERCAP): EnergyMeter {
  const counters = packageCounters(powercap);
  let joules = 0;
  let broken = counters.length === 0;
  return () => {
    for (const counter of counters) {
      const now = readNumber(counter.file);
      if (now === null) broken = true;
      else {
        joules += (now - counter.last + (now < counter.last ? counter.range : 0)) / 1e6;
        counter.last = now;
      }
    }
    return broken ? null : joules;
  };
}

interface Counter {
  readonly file: string;
  /** Microjoules at which the counter begins again. */
  readonly range: number;
  last: number;
}

function packageCounters(powercap: string): Counter[] {
  let names: string[];
  try {
    names = readdirSync(powercap).filter((name) => packageName.test(name));
  } catch {
    return []; // no Linux, or no powercap
  }
  const counters = names.map((name) => {
    const file = path.join(powercap, name, "energy_uj");
    return { file, range: readNumber(path.join(powercap, name, "max_energy_range_uj")), last: readNumber(file) };
  });
  // One package without its counter would make the sum of the others look like the machine's.
  const readable = counters.every(({ range, last }) => range !== null && last !== null);
  return readable ? (counters as Counter[]) : [];
}

function readNumber(file: string): number | null {
  try {
    const text = readFileSync(file, "utf8").trim();
    return /^\d+$/.test(text) ? Number(text) : null;
  } catch {
    return null; // readable by root alone, or no such counter
  }
}
