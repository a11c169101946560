// Installs the locked dependencies once: `npm ci` runs only where node_modules is absent or older than the lock file.
import { spawnSync } from "node:child_process";
import { existsSync, statSync } from "node:fs";

const installed = "node_modules/.package-lock.json";
const fresh = existsSync(installed) && statSync(installed).mtimeMs >= statSync("package-lock.json").mtimeMs;
if (!fresh) {
  console.error("installing the locked dependencies (npm ci)");
  // One string through the shell, because npm is a .cmd file on Windows.
  const { status } = spawnSync("npm ci --no-audit --no-fund", { stdio: "inherit", shell: true });
  process.exit(status ?? 1);
}
