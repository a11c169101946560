// Soak tests come in fifty shares with a seed each. The slow tests run the first one; `npm run test:soak` runs them all,
// from FLEXBERT_SOAK_SEED (1 where it is not set), so that another soak may try other seeds.
import fc from "fast-check";

/** Set by jest.soak.config.js. */
const { soakShares = 1 } = globalThis as { soakShares?: number };
const first = Number(process.env["FLEXBERT_SOAK_SEED"] || 1);

/** Whether all shares run: what starts processes does less for the slow tests. */
export const atLength = soakShares > 1;

/** The seeds of the shares that run now. */
export const soakSeeds: readonly number[] = Array.from({ length: soakShares }, (_, i) => first + i);

/** A property, this often a share. */
export async function soak<T>(property: fc.IAsyncProperty<T> | fc.IProperty<T>, runsPerShare: number): Promise<void> {
  for (const seed of soakSeeds) await fc.assert(property, { seed, numRuns: runsPerShare });
}
