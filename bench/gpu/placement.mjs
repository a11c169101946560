// Which provider ran the nodes of a profile that onnxruntime wrote (openEngine's `profile`): counts by operator, and the times on the host.
//
//   node bench/gpu/placement.mjs PROFILE.json ...
import { readFileSync } from "node:fs";
import { showUsage } from "../usage.mjs";

showUsage(import.meta.url);

for (const file of process.argv.slice(2)) {
  const counts = new Map();
  for (const { cat, name, dur, args } of JSON.parse(readFileSync(file, "utf8"))) {
    if (cat !== "Node" || !name.endsWith("_kernel_time")) continue;
    const key = `${args.provider.replace("ExecutionProvider", "")} ${args.op_name}`;
    const { count = 0, us = 0 } = counts.get(key) ?? {};
    counts.set(key, { count: count + 1, us: us + dur });
  }
  const sorted = [...counts].sort((a, b) => b[1].us - a[1].us);
  const total = (provider) =>
    sorted.filter(([key]) => key.startsWith(provider)).reduce((sum, [, { count }]) => sum + count, 0);
  console.log(`${sorted.reduce((sum, [, { count }]) => sum + count, 0)} runs of nodes, ${total("CPU")} on the CPU`);
  console.log(
    sorted
      .slice(0, 25)
      .map(([key, { count, us }]) => `${key} ${count} ${(us / count).toFixed(0)}us`)
      .join(", "),
  );
  console.log(
    `CPU: ${sorted
      .filter(([key]) => key.startsWith("CPU") || key.includes("Memcpy"))
      .map(([key, { count }]) => `${key} ${count}`)
      .join(", ")}`,
  );
}
