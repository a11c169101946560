// Reads onnxruntime's profile of a session's last run: time by kind of work, and the rate of products with weights.

const products = new Set(["MatMul", "FusedMatMul", "Gemm"]);
const dimensions = (event) => event.args.input_type_shape.map((entry) => Object.values(entry)[0]);

/** FLOP of a product of two matrices, whichever operand is transposed: the sizes that are not summed over, times the sum. */
function flop(event) {
  const [a, b] = dimensions(event);
  const [output] = event.args.output_type_shape.map((entry) => Object.values(entry)[0]);
  const shared = (a.reduce((x, y) => x * y, 1) * b.reduce((x, y) => x * y, 1)) / output.reduce((x, y) => x * y, 1);
  return 2 * output.reduce((x, y) => x * y, 1) * Math.sqrt(shared);
}

/** Node events of the last run, with what they computed. */
export function lastRun(events) {
  const run = events.filter(({ name }) => name === "model_run").at(-1);
  const within = ({ ts }) => ts >= run.ts && ts <= run.ts + run.dur;
  return events.filter((event) => event.cat === "Node" && event.name.endsWith("_kernel_time") && within(event));
}

/** A table of the last run: weight products by shape with GFLOP/s, attention's products, everything else by op. */
export function summarise(events) {
  const kinds = new Map();
  const add = (kind, event, work) => {
    const known = kinds.get(kind) ?? { us: 0, count: 0, flop: 0 };
    kinds.set(kind, { us: known.us + event.dur, count: known.count + 1, flop: known.flop + work });
  };
  for (const event of lastRun(events)) {
    const op = event.args.op_name;
    if (!products.has(op)) add(`rest: ${op}`, event, 0);
    else if (dimensions(event)[0].length > 2) add(`attention: ${op}`, event, 0);
    else
      add(
        `weights: ${op} ${dimensions(event)
          .slice(0, 2)
          .map((shape) => `[${shape}]`)
          .join(" ")}`,
        event,
        flop(event),
      );
  }
  const rows = [...kinds].sort((a, b) => b[1].us - a[1].us);
  const total = (prefix) =>
    rows.filter(([kind]) => kind.startsWith(prefix)).reduce((sum, [, { us }]) => sum + us, 0) / 1000;
  const lines = rows.slice(0, 30).map(([kind, { us, count, flop: work }]) => {
    const rate = work > 0 ? `, ${(work / us / 1000).toFixed(0)} GFLOP/s` : "";
    return `  ${(us / 1000).toFixed(1).padStart(8)} ms ${String(count).padStart(4)} x ${kind}${rate}`;
  });
  const sums = ["weights", "attention", "rest"].map((prefix) => `${prefix} ${total(prefix).toFixed(1)} ms`);
  return [`  ${sums.join(", ")}`, ...lines].join("\n");
}
