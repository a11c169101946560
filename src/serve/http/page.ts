// The page at /, and what it is made of: read once, and open to whoever reaches the server. It shows nothing of the model
// without asking as every other client does.

import { createHash } from "node:crypto";
import type { FastifyInstance } from "fastify";
import { pageFiles, pageHeaders } from "../page/page";

export function pageRoutes(app: FastifyInstance): void {
  for (const { path, type, body } of pageFiles()) {
    const etag = `"${createHash("sha256").update(body).digest("hex").slice(0, 16)}"`;
    const headers = { ...pageHeaders, "content-type": type, etag };
    app.get(path, { config: { access: "open" as const } }, async (request, reply) => {
      const isKnown = request.headers["if-none-match"] === etag;
      return reply
        .headers(headers)
        .code(isKnown ? 304 : 200)
        .send(isKnown ? null : body);
    });
  }
}
