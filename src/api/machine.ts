// The machine that this process runs on, as bench and doctor describe it.

import os from "node:os";
import { packageVersion } from "../files/version";

export const describeMachine = () => ({
  flexbert: packageVersion(),
  node: process.version,
  platform: `${process.platform} ${process.arch}`,
  cpu: os.cpus()[0]?.model ?? "unknown",
  cores: os.availableParallelism(),
  memoryBytes: os.totalmem(),
});
