// The Open Inference Protocol, which clients of KServe and Triton speak: each task is a model, and its version that of the
// task's branch.

import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { packageVersion } from "../../files/version";
import { ownLayers } from "../../model/place";
import { wordsFor } from "../../predict/encode";
import type { Prediction } from "../../tasks/kinds/kind";
import { offsetsIn } from "../../tasks/offset-unit";
import type { AskedRow } from "../ask";
import { predictionOf, type Served, type VersionTask } from "../model/served";
import { askFor, noteRequest } from "./answer";
import { TENSOR_HEADER } from "./body";
import type { ServerContext } from "./context";
import { ApiError, given } from "./errors";
import { notReady } from "./health";
import { requireTask, withExit } from "./rows";
import { timingHeaders } from "./timing";
import { type OutputTensor, readTensors, writeTensors } from "./v2-tensors";

/** The output that says after how many encoder layers a row left; of tasks whose texts may leave early. */
const EXIT_LAYER = "exit_layer";

interface ModelParams {
  readonly task: string;
  readonly version?: string;
}

const modelOf = (served: Served, { task: name, version }: ModelParams): VersionTask => {
  const task = requireTask(served, name);
  if (version === undefined || version === task.version) return task;
  throw new ApiError("unknown_version", `${name} has the version ${task.version}, and not ${given(version)}`);
};

export function v2Routes(app: FastifyInstance, context: ServerContext): void {
  const open = { config: { access: "open" as const } };
  app.get("/v2", async () => ({
    name: "flexbert",
    version: packageVersion(),
    extensions: ["binary_tensor_data"],
  }));
  app.get("/v2/health/live", open, async () => ({ live: true }));
  app.get("/v2/health/ready", open, async (_, reply) => {
    const ready = notReady(context) === null;
    return reply.code(ready ? 200 : 503).send({ ready });
  });
  for (const model of ["/v2/models/:task", "/v2/models/:task/versions/:version"]) {
    app.get<{ Params: ModelParams }>(model, async ({ params }) => metadata(modelOf(context.live.current, params)));
    app.get<{ Params: ModelParams }>(`${model}/ready`, async ({ params }, reply) => {
      const { name } = modelOf(context.live.current, params);
      const ready = notReady(context) === null;
      return reply.code(ready ? 200 : 503).send({ name, ready });
    });
    app.post<{ Params: ModelParams }>(`${model}/infer`, (request, reply) => infer(context, request, reply));
  }
}

function metadata(task: VersionTask) {
  const { name, version, outputs, inputs } = task;
  const text = (called: string) => ({ name: called, datatype: "BYTES", shape: [-1] });
  return {
    name,
    versions: [version],
    platform: "flexbert",
    inputs: inputs === "pair" ? [text("text"), text("pair")] : [text("text")],
    outputs: task.kind.perWord
      ? [
          { name: "logits", datatype: "FP32", shape: [-1, -1, outputs] },
          { name: "words", datatype: "INT32", shape: [-1, -1, 2] },
          { name: "label", datatype: "BYTES", shape: [-1] },
        ]
      : [
          { name: "logits", datatype: "FP32", shape: [-1, outputs] },
          { name: "label", datatype: "BYTES", shape: [-1] },
          ...(task.exitRule ? [{ name: EXIT_LAYER, datatype: "INT32", shape: [-1] }] : []),
        ],
  };
}

async function infer(context: ServerContext, request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
  const hold = context.live.hold();
  try {
    const { served } = hold;
    const task = modelOf(served, request.params as ModelParams);
    const { maxRows } = context.limits;
    const length = request.headers[TENSOR_HEADER] as string | undefined;
    const { id, inputs, outputs, exit } = readTensors(
      request.body,
      length,
      maxRows,
      metadata(task).outputs.map(({ name }) => name),
    );
    const rows = withExit(rowsOf(inputs, task, context.limits.maxText), exit);
    noteRequest(context, request, served, rows);
    const logits: Float32Array[] = [];
    const layers = new Int32Array(rows.length).fill(ownLayers(task)[1]);
    reply.header("x-model-version", served.id);
    const answered = await askFor(context, request, reply, hold, rows, {
      onLogits(row, _, own, layer = layers[row]) {
        logits[row] = own;
        layers[row] = layer as number;
      },
    });
    reply.headers(timingHeaders(answered));
    const tensors = outputs.map(({ name }) =>
      name === EXIT_LAYER
        ? ({ name, datatype: "INT32", shape: [rows.length], values: layers } as const)
        : tensorOf(name, task, rows, logits),
    );
    const head = { model_name: task.name, model_version: task.version, ...(id === undefined ? {} : { id }) };
    const isBinary = new Map(outputs.map(({ name, binary }) => [name, binary]));
    const { body, jsonBytes } = writeTensors(head, tensors, (name) => isBinary.get(name) === true);
    if (jsonBytes === null) return reply.type("application/json; charset=utf-8").send(body);
    return reply.header(TENSOR_HEADER, String(jsonBytes)).type("application/octet-stream").send(body);
  } finally {
    hold.release();
  }
}

function rowsOf(inputs: ReadonlyMap<string, readonly string[]>, task: VersionTask, maxText: number): AskedRow[] {
  const pairs = inputs.get("pair");
  const texts = inputs.get("text") as readonly string[];
  if ((pairs !== undefined) !== (task.inputs === "pair")) {
    const takes = task.inputs === "pair" ? "pairs: give the input pair too" : "single texts: leave the input pair out";
    throw new ApiError("task_does_not_fit", `${task.name} takes ${takes}`);
  }
  const long = [...texts, ...(pairs ?? [])].find(({ length }) => length > maxText);
  if (long !== undefined) {
    throw new ApiError("too_large", `a text has ${long.length} characters, and may have ${maxText}`);
  }
  return texts.map((text, i) => ({ text, pair: pairs ? (pairs[i] as string) : null, tasks: [task] }));
}

/** @param logits of each row */
function tensorOf(
  name: string,
  task: VersionTask,
  rows: readonly AskedRow[],
  logits: readonly Float32Array[],
): OutputTensor {
  const { outputs, kind } = task;
  if (name === "label") {
    const labels = rows.map((row, i) => labelOf(predictionOf(task, logits[i] as Float32Array, row)));
    return { name, datatype: "BYTES", shape: [rows.length], values: labels };
  }
  if (name === "words") return wordsTensor(name, task, rows);
  const { values, longest } = sideBySide(logits, (size) => new Float32Array(size));
  const shape = kind.perWord ? [rows.length, longest / outputs, outputs] : [rows.length, outputs];
  return { name, datatype: "FP32", shape, values };
}

/** Where the words stand of which logits are, in code points; -1 beyond a row's words. */
function wordsTensor(name: string, task: VersionTask, rows: readonly AskedRow[]): OutputTensor {
  const words = rows.map((row) => {
    const at = offsetsIn(row.text, "codepoint");
    return wordsFor(task, row).flatMap(([start, end]) => [at(start), at(end)]);
  });
  const { values, longest } = sideBySide(words, (size) => new Int32Array(size).fill(-1));
  return { name, datatype: "INT32", shape: [rows.length, longest / 2, 2], values };
}

/** Rows in as many places each as the longest has. @param make places with what stands beyond a row's own values */
function sideBySide<T extends Float32Array | Int32Array>(
  rows: readonly ArrayLike<number>[],
  make: (size: number) => T,
) {
  const longest = Math.max(...rows.map(({ length }) => length));
  const values = make(rows.length * longest);
  for (const [i, own] of rows.entries()) values.set(own, i * longest);
  return { values, longest };
}

/** The label; a value as a number; of several labels or of spans, a JSON list. */
function labelOf(prediction: Prediction): string {
  if ("label" in prediction) return prediction.label;
  if ("value" in prediction) return String(prediction.value);
  return JSON.stringify("spans" in prediction ? prediction.spans : prediction.labels);
}
