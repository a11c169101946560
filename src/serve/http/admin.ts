// What changes the answers, or tells what they were: for admin tokens alone.

import type { FastifyInstance } from "fastify";
import type { ChangeAnswer, HistoryAnswer } from "../../client/api";
import { ExitCode, UserError } from "../../errors/errors";
import type { Swap } from "../model/live";
import type { ServerContext } from "./context";
import { ApiError, given, withoutPaths } from "./errors";
import { invalid } from "./rows";

export function adminRoutes(app: FastifyInstance, { live, folder }: ServerContext): void {
  const admin = { config: { access: "admin" as const } };
  const told = (swap: Swap | null): ChangeAnswer => ({
    version: live.current.id,
    changed: swap !== null,
    ...(swap && { from: swap.from, tasks: swap.changed, removed: swap.removed, ms: Math.round(swap.ms) }),
  });
  app.get("/v1/history", admin, async (): Promise<HistoryAnswer> => {
    return { current: live.current.id, history: await folder.history() };
  });
  app.post("/admin/reload", admin, async () => told(await live.reload()));
  app.post("/admin/rollback", admin, async ({ body }): Promise<ChangeAnswer> => {
    if (folder.pinned !== null) {
      const message = `the server is pinned to ${folder.pinned}, which a rollback leaves alone. Move the tag, or start it without --version`;
      throw new ApiError("pinned", message);
    }
    const to = targetOf(body);
    const before = live.current.id;
    try {
      await folder.rollback(to);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      // What is no fault of the request: another process is changing the folder, or its disk takes nothing.
      const code = error.exitCode === ExitCode.failure ? "not_changed" : "unknown_version";
      throw new ApiError(code, withoutPaths(error.message), {}, { cause: error });
    }
    const swap = await live.reload();
    // The watch may have been quicker.
    return { ...told(swap), changed: live.current.id !== before, from: before };
  });
}

function targetOf(body: unknown): string | undefined {
  if (body === undefined || body === null) return undefined;
  const { to, ...others } = Object(body) as Record<string, unknown>;
  const [other] = Object.keys(others);
  if (Array.isArray(body) || typeof body !== "object" || other !== undefined) {
    throw invalid(`the body is ${given(body)}, and takes {"to": "VERSION or TAG"}`);
  }
  if (to === undefined || (typeof to === "string" && to !== "")) return to;
  throw invalid(`to is ${given(to)}, not a version or a tag`);
}
