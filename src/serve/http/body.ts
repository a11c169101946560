// Bodies: how they are read before anything looks at what they say.

import { isUtf8 } from "node:buffer";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { oneLine } from "../../errors/errors";
import { ApiError, mediaTypeError } from "./errors";

/** What nests deeper is nobody's request. */
const DEEPEST = 32;

const [QUOTE, BACKSLASH, OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT] = [0x22, 0x5c, 0x5b, 0x5d, 0x7b, 0x7d];

/** JSON alone, as UTF-8 and not compressed; under /v2 also JSON with binary tensors behind it, which its route reads. */
export function readBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  const asIs = (request: FastifyRequest, body: Buffer): unknown => {
    requireUncompressed(request);
    return isTensorBody(request) ? body : parseBody(body);
  };
  const parser = (request: FastifyRequest, body: Buffer, done: (error: Error | null, body?: unknown) => void) => {
    let parsed: unknown;
    try {
      parsed = asIs(request, body);
    } catch (error) {
      return done(error as Error);
    }
    done(null, parsed);
  };
  app.addContentTypeParser(/^application\/json(?:\s*;\s*charset="?utf-8"?)?$/i, { parseAs: "buffer" }, parser);
  app.addContentTypeParser("application/octet-stream", { parseAs: "buffer" }, (request, body: Buffer, done) =>
    isTensorBody(request) ? parser(request, body, done) : done(mediaTypeError()),
  );
  // tritonclient, of Python, names no type at all.
  app.addContentTypeParser("*", { parseAs: "buffer" }, (request, body: Buffer, done) =>
    request.headers["content-type"] === undefined && request.url.startsWith("/v2/")
      ? parser(request, body, done)
      : done(mediaTypeError()),
  );
}

/** The header that says how much of a body is JSON. */
export const TENSOR_HEADER = "inference-header-content-length";

const isTensorBody = ({ headers, url }: FastifyRequest) =>
  url.startsWith("/v2/") && headers[TENSOR_HEADER] !== undefined;

function requireUncompressed({ headers }: FastifyRequest): void {
  const encoding = headers["content-encoding"];
  if (encoding !== undefined && encoding !== "identity") throw mediaTypeError();
}

/**
 * undefined for no bytes. Throws ApiError (400) for what is no JSON, or nests too deep: looked for first, so that nothing has
 * to walk down there.
 */
export function parseBody(bytes: Buffer): unknown {
  if (bytes.length === 0) return undefined;
  if (!isUtf8(bytes)) throw new ApiError("bad_json", "the body is not UTF-8");
  if (isDeeper(bytes, DEEPEST)) throw new ApiError("bad_json", `the body nests deeper than ${DEEPEST} levels`);
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch (error) {
    throw new ApiError("bad_json", `the body is no JSON: ${positionOf(error)}`);
  }
}

/** Without what the text says: V8's message quotes it. */
function positionOf(error: unknown): string {
  const position = /position (\d+)/.exec(oneLine(error))?.[1];
  return position === undefined ? "it ends early, or is not what JSON may be" : `at character ${position}`;
}

/** Of bytes that need not be JSON. */
function isDeeper(bytes: Buffer, most: number): boolean {
  let depth = 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === QUOTE) {
      for (at++; at < bytes.length && bytes[at] !== QUOTE; at++) if (bytes[at] === BACKSLASH) at++;
    } else if (byte === OPEN_ARRAY || byte === OPEN_OBJECT) {
      if (++depth > most) return true;
    } else if (byte === CLOSE_ARRAY || byte === CLOSE_OBJECT) depth--;
  }
  return false;
}
