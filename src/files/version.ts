// flexbert's own version, from the package that this file is part of.

import { readFileSync } from "node:fs";
import path from "node:path";

export function packageVersion(): string {
  return JSON.parse(readFileSync(path.join(__dirname, "../../package.json"), "utf8")).version;
}
