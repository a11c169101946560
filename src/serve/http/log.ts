// Lines of JSON on stderr, by pino.

import pino, { type Logger } from "pino";
import type { Reporter } from "../../messages/reporter";

export interface ServerLog {
  readonly logger: Logger;
  /** What starting says goes the same way. */
  readonly reporter: Reporter;
}

export function createLogger(level: string, stream: { write(line: string): unknown } = process.stderr): ServerLog {
  const logger = pino(
    { level, base: { pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime },
    { write: (line) => void stream.write(line) },
  );
  return {
    logger,
    reporter: {
      log: (line) => logger.info(line),
      warn: (line) => logger.warn(line),
      progress: () => ({ advance: () => undefined, end: () => undefined }),
    },
  };
}
