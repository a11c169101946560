// flexbert inspect: a merged model as a picture, with what each task holds and costs.

import { type Inspection, inspect, inspectOptions } from "../../api/inspect";
import { ruleInWords } from "../../exits/words";
import { formatBytes } from "../../files/atomic";
import { taskCells } from "../../merge/picture/html";
import { adapterLines } from "../../merge/picture/outline";
import { formatCount, formatLayers } from "../../messages/quantities";
import { counted } from "../../messages/words";
import { settingsOf } from "../../options/settings";
import { defineCommand } from "../command";
import { type Terminal, table } from "../terminal";

export const inspectCommand = defineCommand({
  description:
    "Shows what a merged folder holds: the shared layers, where each task leaves them, its own layers, parameters, bytes " +
    "and what it would cost alone. With --measure each task, and all together, are timed on this engine; --out writes " +
    "the picture as SVG or as a page.",
  arguments: [{ name: "[folder]", help: "the merged folder, as --model" }],
  options: inspectOptions,
  examples: [
    "inspect merged/",
    "inspect merged/ --measure --batch-size 8 --length 32",
    "inspect merged/ --out model.svg",
    "inspect --model merged/ --json",
  ],
  async run(values, terminal, [folder]) {
    const { model, ...options } = settingsOf(inspectOptions, values);
    const found = await inspect({ ...options, model: folder ?? model }, terminal);
    if (values.out !== undefined) terminal.reporter.log(`written: ${values.out}`);
    if (terminal.json) terminal.printJson(found);
    else print(found, terminal);
  },
});

function print(found: Inspection, terminal: Terminal): void {
  const { version, tags, versions, base, hiddenSize, tasks, overhead, separate, parameters, bytes, latency, picture } =
    found;
  terminal.print(`${base.name} (${base.layers} layers of ${hiddenSize}), ${tasks.length} tasks\n\n${picture}\n\n`);
  const columns = ["task", "fork", "own layers", "layers alone", "parameters", "size", "dev score"];
  const rows = tasks.map((task) => [
    ...taskCells(task),
    ...(latency ? [(latency.tasks[task.name] as number).toFixed(1)] : []),
  ]);
  terminal.print(table([...columns, ...(latency ? ["ms"] : [])], rows));
  const share = separate.layers === 0 ? "" : ` of ${separate.layers} (${(100 * overhead.share).toFixed(1)} %)`;
  terminal.print(
    `\n${formatLayers(overhead)}${share}; ${formatCount(parameters)} parameters in place of ` +
      `${formatCount(separate.parameters)}${bytes === null ? "" : `, ${formatBytes(bytes)}`}`,
  );
  for (const line of adapterLines(tasks)) terminal.print(line);
  for (const { name, exits } of tasks) {
    if (!exits) continue;
    terminal.print(`${name}: ${exits.rule ? ruleInWords(exits.rule) : "ramps, and no rule by which texts leave"}`);
    const { int8 } = exits;
    if (int8) terminal.print(`${name} in int8: ${int8.rule ? ruleInWords(int8.rule) : `no early exits (${int8.why})`}`);
  }
  const named = tags.length > 0 ? ` (${tags.join(", ")})` : "";
  terminal.print(`version ${version}${named}, ${counted(versions, "version")} here: flexbert history`);
  if (!latency) return;
  const sum = Object.values(latency.tasks).reduce((total, ms) => total + ms, 0);
  terminal.print(
    `all tasks in one call ${latency.all.toFixed(1)} ms, one after the other ${sum.toFixed(1)}: batch ${latency.batchSize}, ` +
      `${latency.length} tokens, ${latency.engine}`,
  );
}
