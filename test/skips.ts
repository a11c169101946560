// Tests that cannot run here are skipped out loud: the skipped name says why, and .ci/run lists it at its end.
import { describe, test } from "@jest/globals";

/** `describe` and `test` where nothing is missing. */
export function unless(missing: string | null | false) {
  const named = (name: string) => `${name} (skipped: ${missing})`;
  return {
    describe: (name: string, body: () => void): void =>
      missing ? describe.skip(named(name), body) : describe(name, body),
    test: (name: string, body: () => void | Promise<void>): void =>
      missing ? test.skip(named(name), body) : test(name, body),
  };
}

export const onWindows = process.platform === "win32" && "not on Windows";
export const notLinux = process.platform !== "linux" && "it needs Linux";
export const asRoot = process.getuid?.() === 0 && "root may write anywhere";
