// A merged model as a function: opened once, when the platform starts the process, and asked by events. The answers are those
// of POST /v1/predict; one event is one batch, for which the platform starts as many processes as there are events at a time.

import { randomUUID } from "node:crypto";
import { availableParallelism } from "node:os";
import path from "node:path";
import { eachRowLogits } from "../../batches/row-logits";
import { tokenRows } from "../../batches/rows";
import type { Engine } from "../../engines/engine";
import { openEngine } from "../../engines/open";
import { readShared } from "../../merge/folder/blobs";
import type { Manifest } from "../../merge/folder/manifest";
import { readVersion } from "../../merge/folder/version";
import { defaultOf } from "../../options/settings";
import type { PieceSource } from "../../predict/segments/pieces";
import { openSegments, type Segments } from "../../predict/segments/segments";
import { storedPieces } from "../../predict/segments/stored";
import type { WeightForm } from "../../settings/engine";
import { servingOptions } from "../../settings/serving";
import { createTokenizer } from "../../tokenizer/tokenizer";
import { ApiError, apiError, errorAnswer } from "../http/errors";
import { collectAnswers } from "../http/prediction";
import { readPredictRequest } from "../http/rows";
import { describeVersion, type Served } from "../model/served";
import { SEVEN_BITS, stretchName } from "../pack/seven-bits";
import { joinUnits, type TakeLogits } from "../units";
import { bodyOf, type HttpEvent, type HttpResult, httpResult, isHttpEvent } from "./events";

export interface FunctionSettings {
  /** Where the model lies. */
  readonly folder: string;
  /** Those that were packed. */
  readonly tasks: readonly string[];
  readonly weights: WeightForm;
  /** By default as many as the platform gives a function of its memory. */
  readonly threads?: number;
  /** Whether the processor saturates products of bytes; by default the engine tries it. */
  readonly saturates?: boolean;
}

/** As far as it is read here. */
export interface FunctionContext {
  readonly awsRequestId?: string;
}

export type Handler = (event: unknown, context?: FunctionContext) => Promise<unknown>;

/** Of one event: as of a request to `flexbert serve`. */
const limits = { maxRows: defaultOf(servingOptions.maxRows), maxText: defaultOf(servingOptions.maxText) };

/** A function gets one processor for each of so many megabytes. https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html */
const MB_A_CPU = 1769;

interface Opened {
  readonly engine: Engine;
  readonly served: Served;
  readonly segments: Segments;
  readonly padId: number;
}

/**
 * The handler. The model is opened at once, so that the platform counts it as the start; what goes wrong then is told each
 * event.
 */
export function openFunction(settings: FunctionSettings): Handler {
  const opening = openAll(settings);
  opening.catch(() => undefined); // each event throws it
  return async (event, context) => {
    const opened = await opening;
    const id = context?.awsRequestId ?? randomUUID();
    return isHttpEvent(event) ? answerHttp(opened, event, id) : answerDirect(opened, event, id);
  };
}

async function openAll(settings: FunctionSettings): Promise<Opened> {
  const { folder, tasks: names, weights } = settings;
  const { engine } = await openEngine("onnx", { threads: settings.threads ?? threadsHere() });
  const { id, manifest: whole } = await readVersion(folder);
  const { config, tokenizer: tokens } = await readShared(folder, whole);
  const manifest = { ...whole, tasks: whole.tasks.filter(({ name }) => names.includes(name)) };
  const pieces = await piecesFor(engine, whole, settings);
  const cuts = whole.tasks.flatMap(({ fork }) => fork ?? []);
  const segments = openSegments(config, manifest.tasks, pieces, cuts);
  await segments.open();
  const tokenizer = createTokenizer(tokens, config.vocabSize);
  const served = describeVersion(id, manifest, { tokenizer, precision: weights });
  const opened = { engine, served, segments, padId: tokenizer.padId };
  await warm(opened);
  return opened;
}

/** The first run of a session is slower than the next. */
async function warm(opened: Opened): Promise<void> {
  const { tasks } = opened.served;
  for (const pair of [null, "b"]) {
    const fitting = tasks.filter(({ inputs }) => (inputs === "pair") === (pair !== null));
    if (fitting.length > 0) await run(opened, [{ text: "a", pair, tasks: fitting }], () => undefined);
  }
}

async function piecesFor(engine: Engine, manifest: Manifest, settings: FunctionSettings): Promise<PieceSource> {
  const { folder, weights } = settings;
  const open = engine.openGraph as NonNullable<Engine["openGraph"]>;
  if (weights === "int8" && (settings.saturates ?? (await engine.saturates?.()) ?? false)) {
    const file = (name: string) => open(path.join(folder, SEVEN_BITS, name));
    return { stretch: (stretch) => file(stretchName(stretch)), branch: (task) => file(`${task}.onnx`) };
  }
  const stored = storedPieces(engine, folder, manifest, weights);
  if (!stored) throw new Error(`the function's model has no ${weights} graphs. Pack it again: flexbert pack`);
  return stored;
}

function threadsHere(): number {
  const memory = Number(process.env["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]);
  const given = Number.isFinite(memory) ? Math.ceil(memory / MB_A_CPU) : availableParallelism();
  return Math.max(1, Math.min(given, availableParallelism()));
}

type Rows = ReturnType<typeof readPredictRequest>["rows"];

/** Throws what {@link readPredictRequest} does. */
async function predict(opened: Opened, body: unknown): Promise<unknown> {
  const { served } = opened;
  const asked = readPredictRequest(body, served, limits);
  if (asked.stream) throw new ApiError("invalid", "stream is true, and a function answers at once. Leave it out");
  const { exit = "off" } = Object(body) as { readonly exit?: unknown };
  if (exit !== "off") {
    throw new ApiError("invalid", "exit asks for early exits, and a function has no pieces for them. Leave it out");
  }
  const { onLogits, answer } = collectAnswers(asked, served);
  await run(opened, asked.rows, onLogits);
  return answer();
}

async function run({ served, segments, padId }: Opened, rows: Rows, onLogits: TakeLogits): Promise<void> {
  const units = rows.flatMap((row, index) => served.encode(row, row.tasks).map((unit) => ({ ...unit, row: index })));
  const give = joinUnits(rows, units, onLogits);
  const encodings = units.map(({ ids, typeIds }) => ({ ids, typeIds, truncated: 0 }));
  const wants = units.map(({ tasks }) => tasks);
  for await (const part of segments.run(tokenRows(encodings, padId), wants)) {
    const task = served.task(part.task);
    if (!task) continue;
    const { data, shape } = part.logits;
    const tokensOf = (unit: number) => (units[unit] as (typeof units)[number]).ids.length;
    const given = eachRowLogits(part.rows, data as Float32Array, shape[1] as number, tokensOf);
    for (const { row: unit, logits } of given) give(unit, task, logits);
  }
}

async function answerHttp(opened: Opened, event: HttpEvent, id: string): Promise<HttpResult> {
  const { method } = event.requestContext.http;
  const requestId = event.requestContext.requestId ?? id;
  try {
    if (method !== "POST") {
      throw new ApiError("method_not_allowed", `this address takes POST, not ${method}`, { allow: "POST" });
    }
    const body = await predict(opened, bodyOf(event));
    return httpResult(200, body, requestId, { "x-model-version": opened.served.id });
  } catch (error) {
    const told = apiError(error);
    if (told.status >= 500) console.error(error); // into the function's log
    return httpResult(told.status, errorAnswer(told, requestId), requestId, told.headers);
  }
}

/** What goes wrong is thrown: the platform tells the caller, with the code as the error's type. */
async function answerDirect(opened: Opened, event: unknown, id: string): Promise<unknown> {
  try {
    return await predict(opened, event);
  } catch (error) {
    const told = apiError(error);
    if (told.status >= 500) console.error(error);
    throw Object.assign(new Error(`${told.message} (request ${id})`), { name: told.code });
  }
}
