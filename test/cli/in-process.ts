// Command lines in the test's own process: quicker than one of their own, and stopped where a test says so.

import { expect } from "@jest/globals";
import { run } from "../../src/cli/main";

type Program = Parameters<typeof run>[3];

/** Hears what goes to stderr, and may stop the work. */
export type OnLine = (line: string, stop: () => void) => void;

/** @param program flexbert's own where it is left out */
export function inProcess(program?: Program) {
  const flexbert = async (args: readonly string[], onLine: OnLine = () => undefined) => {
    const controller = new AbortController();
    let [stdout, stderr] = ["", ""];
    const out = {
      write(text: string) {
        stdout += text;
      },
    };
    const err = {
      write(text: string) {
        stderr += text;
        onLine(text, () => controller.abort());
      },
    };
    const code = await run(args, { out, err }, { signal: controller.signal }, program);
    return { code, stdout, stderr };
  };
  return {
    flexbert,
    async expectJson(args: readonly string[]) {
      const { code, stdout, stderr } = await flexbert([...args, "--json"]);
      expect([code, stderr.match(/flexbert: .*/)?.[0]]).toEqual([0, undefined]);
      return JSON.parse(stdout);
    },
  };
}
