// A bar for each file that a download brings, or a line every few seconds where there is no call.

import { formatBytes } from "../files/atomic";
import type { ProgressBar } from "../messages/reporter";
import type { Call } from "./caller";

export interface FileProgress {
  onProgress(file: string, received: number, total: number | null): void;
  /** Removes the last bar. */
  end(): void;
}

export function fileProgress(prefix: string, call: Call): FileProgress {
  let current: { file: string; received: number; bar: ProgressBar } | null = null;
  const end = () => {
    current?.bar.end();
    current = null;
  };
  return {
    onProgress(file, received, total) {
      if (current?.file !== file) {
        end();
        // What an earlier download brought is done, for the time that is left too.
        current = { file, received, bar: call.reporter.progress(`${prefix}${file}`, total ?? 0, received) };
      }
      current.bar.advance(received - current.received, formatBytes(received));
      current.received = received;
      if (received === total) end(); // lines about something else may follow
    },
    end,
  };
}
