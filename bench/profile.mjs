// Reads onnxruntime's profile of a session's last run: time by kind of work, and the rate of products with weights.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";

const products = new Set(["MatMul", "FusedMatMul", "Gemm"]);
const outputOf = (event) => Object.values(event.args.output_type_shape[0])[0];

/** Shapes of an event's inputs. A constant weight that the session has packed is not in the profile: it is put back. */
function dimensions(event) {
  const inputs = event.args.input_type_shape.map((entry) => Object.values(entry)[0]);
  if (!products.has(event.args.op_name) || (inputs[1]?.length ?? 0) > 1) return inputs;
  const [a, ...rest] = inputs;
  return [a, [a.at(-1), outputOf(event).at(-1)], ...rest];
}

/** FLOP of a product of two matrices, whichever operand is transposed: the sizes that are not summed over, times the sum. */
function flop(event) {
  const [a, b] = dimensions(event);
  const output = outputOf(event);
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

/** Weight products of a profile by kind: shapes, how often a run has them, and the milliseconds of the fastest one. */
function weightProducts(events) {
  const runs = events.filter(({ name }) => name === "model_run").length;
  const kinds = new Map();
  for (const event of events) {
    if (event.cat !== "Node" || !event.name.endsWith("_kernel_time") || !products.has(event.args.op_name)) continue;
    if (dimensions(event)[0].length > 2) continue;
    const key = JSON.stringify([event.args.op_name, dimensions(event), outputOf(event)]);
    const known = kinds.get(key) ?? { ms: Number.POSITIVE_INFINITY, count: 0 };
    kinds.set(key, { ms: Math.min(event.dur / 1000, known.ms), count: known.count + 1 / runs });
  }
  return [...kinds].map(([key, kind]) => {
    const [op, inputs, output] = JSON.parse(key);
    return { op, inputs, output, ...kind, count: Math.round(kind.count) };
  });
}

/** Milliseconds of one product alone in a session, by onnxruntime's profile: the best of `rounds`. */
async function bareProduct({ runtime, encodeModel, ElementType, threads, rounds }, { op, inputs, output }) {
  const [a, b] = inputs;
  const turnedLeft = op === "FusedMatMul" && a[0] === b[0] && a[1] === output[0] && b[1] === output[1];
  // Weights lie as [outputs, inputs]. A square one may be either: a step's affine products are all turned.
  const turnedRight = op === "Gemm" ? b[1] === a[1] && b[0] === output[1] : op === "FusedMatMul" && !turnedLeft;
  const turns = { transA: { int: turnedLeft ? 1 : 0 }, transB: { int: turnedRight ? 1 : 0 } };
  const node = {
    op,
    domain: op === "FusedMatMul" ? "com.microsoft" : "",
    inputs: inputs.map((_, i) => `x${i}`),
    outputs: ["y"],
    attributes: op === "MatMul" ? {} : turns,
  };
  const floats = (dims) => {
    const size = dims.reduce((x, y) => x * y, 1);
    return new Float32Array(size).map((_, i) => ((i * 7919) % 1000) / 1000 - 0.5);
  };
  let best = Number.POSITIVE_INFINITY;
  // A weight may be an input, as in training, or a constant that the session packs beforehand: the faster one counts.
  for (const constant of [false, true]) {
    const bytes = new Uint8Array(floats(b).buffer);
    const fed = node.inputs.flatMap((name, i) => (constant && i === 1 ? [] : [[name, inputs[i]]]));
    const model = encodeModel({
      producer: "flexbert",
      opsets: { "": 20, "com.microsoft": 1 },
      graph: {
        name: "product",
        nodes: [node],
        initializers: constant ? [{ name: "x1", type: ElementType.float32, dims: b, bytes }] : [],
        inputs: fed.map(([name, dims]) => ({ name, type: ElementType.float32, dims })),
        outputs: [{ name: "y", type: ElementType.float32, dims: output }],
      },
    });
    const folder = mkdtempSync(path.join(os.tmpdir(), "flexbert-product-"));
    const session = await runtime.InferenceSession.create(model, {
      intraOpNumThreads: threads,
      enableProfiling: true,
      profileFilePrefix: path.join(folder, "profile"),
    });
    const feeds = Object.fromEntries(
      fed.map(([name, dims]) => [name, new runtime.Tensor("float32", floats(dims), dims)]),
    );
    const result = { y: new runtime.Tensor("float32", new Float32Array(output[0] * output[1]), output) };
    for (let round = 0; round < rounds; round++) await session.run(feeds, result);
    session.endProfiling();
    await session.release();
    const events = JSON.parse(readFileSync(path.join(folder, readdirSync(folder)[0]), "utf8"));
    rmSync(folder, { recursive: true });
    for (const { name, dur } of events) if (name.endsWith("_kernel_time")) best = Math.min(best, dur / 1000);
  }
  return best;
}

/** The weight products of a profile against onnxruntime alone on the same shapes and transposes, best against best. */
export async function againstBare(events, tools) {
  const lines = [];
  let [within, alone] = [0, 0];
  for (const product of weightProducts(events)) {
    const bare = await bareProduct(tools, product);
    within += product.count * product.ms;
    alone += product.count * bare;
    const shapes = product.inputs.map((shape) => `[${shape}]`).join(" ");
    lines.push(
      `  ${product.count} x ${product.op} ${shapes}: ${product.ms.toFixed(2)} ms in the step, ${bare.toFixed(2)} ms alone`,
    );
  }
  if (lines.length === 0) return "  no products with weights";
  const share = ((100 * alone) / within).toFixed(0);
  return [`  products with weights: ${share} % of onnxruntime's own rate`, ...lines].join("\n");
}
