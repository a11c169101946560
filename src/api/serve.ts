// A merged folder served over HTTP, and the tokens of those who may ask.

import { readFile } from "node:fs/promises";
import { modelError, usageError } from "../errors/errors";
import { storageFailure } from "../files/storage-failure";
import { isMergedFolder } from "../merge/folder/pointer";
import { type Given, readGiven } from "../options/given";
import type { Values } from "../options/option";
import type { Role } from "../serve/http/tokens";
import type { RunningServer, ServeSettings } from "../serve/serve";
import { weightsOption } from "../settings/engine";
import { mergedOption, versionOption } from "../settings/model";
import { servingOptions, tokenOptions } from "../settings/serving";
import { type Caller, callOf } from "./caller";

export const serveOptions = {
  ...mergedOption,
  version: {
    ...versionOption.version,
    help: "pin a version by its hash, or follow a tag wherever it goes (default follow the current version)",
  },
  ...weightsOption,
  ...servingOptions,
};

export type ServeOptions = Given<typeof serveOptions>;
export type { RunningServer };

/**
 * Serves a merged folder until it is closed, and what becomes current in it. The caller's signal stops the start alone.
 * Throws UserError (1) for a port that is in use, (2) for options that do not go together, (4) for a folder or a version that
 * cannot be served, (6) where the engine is absent.
 */
export async function serve(options: ServeOptions = {}, caller: Caller = {}): Promise<RunningServer> {
  const call = callOf(caller);
  const values = readGiven(serveOptions, options);
  const { merged, device, workers, threads } = values;
  if (!isMergedFolder(merged)) {
    throw modelError(`${merged} is no merged model, and no other can be served. Run: flexbert merge --out ${merged}`);
  }
  const settings = await settingsFor(values);
  const [{ startServer }, { startInference }, { createLogger }] = await Promise.all([
    import("../serve/serve.js"),
    import("../serve/inference/start.js"),
    import("../serve/http/log.js"),
  ]);
  const { logger, reporter } = createLogger(values.logLevel);
  return startServer(
    settings,
    (what) => startInference({ ...what, device, workers, threads, verbose: call.verbose }),
    logger,
    reporter,
    call.signal,
  );
}

/** More give a processor no more texts a second, and make each wait longer; a GPU is filled by no less. */
const BATCH_TOKENS = { cpu: 512, auto: 512, webgpu: 4096, cuda: 4096 } as const;

async function settingsFor(values: Values<typeof serveOptions>): Promise<ServeSettings> {
  const { maxQueue, maxDelayMs = null, maxWaitMs, maxRows, maxText, maxBody, cors = [] } = values;
  const { maxBatchTokens = BATCH_TOKENS[values.device] } = values;
  for (const origin of cors) {
    const meant = originOf(origin);
    if (meant === null) throw usageError(`--cors ${origin} is no origin, such as https://a.example`);
    if (meant !== origin)
      throw usageError(`--cors ${origin} is never what browsers send, which is ${meant}. Give that`);
  }
  return {
    ...{ folder: values.merged, version: values.version, weights: values.weights },
    ...{ host: values.host, port: values.port, tls: await readTls(values), origins: cors },
    batch: { maxTokens: maxBatchTokens, maxWaitMs },
    queue: { maxRows: maxQueue, maxDelayMs },
    limits: { maxRows, maxText, maxBodyBytes: maxBody },
    cacheBytes: values.cache,
    ...{ tokens: values.tokens, noAuth: values.noAuth, logTexts: values.logTexts },
  };
}

/** As browsers write the origin of such an address; null where it is none of a page. */
function originOf(address: string): string | null {
  if (!URL.canParse(address)) return null;
  const { protocol, origin } = new URL(address);
  return protocol === "http:" || protocol === "https:" ? origin : null;
}

async function readTls({ tlsCert, tlsKey }: Pick<Values<typeof serveOptions>, "tlsCert" | "tlsKey">) {
  if (tlsCert === undefined && tlsKey === undefined) return null;
  if (tlsCert === undefined || tlsKey === undefined)
    throw usageError("--tls-cert and --tls-key go together: give both");
  const read = (file: string) =>
    readFile(file, "utf8").catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") throw usageError(`${file} is not there`);
      throw storageFailure(error, file, "cannot read");
    });
  return { cert: await read(tlsCert), key: await read(tlsKey) };
}

export type NewTokenOptions = Given<typeof tokenOptions> & {
  readonly name: string;
  /** "predict" by default. */
  readonly role?: Role | undefined;
};

/** Makes a token, which cannot be read again: its hash is stored. Throws UserError (2) for a name that is taken or none. */
export async function newServeToken({ name, role = "predict", ...options }: NewTokenOptions): Promise<string> {
  const { tokens } = readGiven(tokenOptions, options);
  const { newToken } = await import("../serve/http/tokens.js");
  return newToken(tokens, name, role);
}
