// Who may ask for what. Health and the page are open, changing what answers takes an admin token whatever else is open, and
// the rest takes a token as soon as there are any.

import type { FastifyRequest } from "fastify";
import { ApiError } from "./errors";
import { type TokenEntry, tokenFinder } from "./tokens";

/** Of a route: `config: { access }`. */
export type Access = "open" | "predict" | "admin";

declare module "fastify" {
  interface FastifyContextConfig {
    /** "predict" where a route does not say. */
    access?: Access;
  }
}

export interface AuthOptions {
  /** null where requests need none. Of none nobody may ask. */
  readonly tokens: readonly TokenEntry[] | null;
  /**
   * Whether requests must name this machine as their host: without tokens, a page of another site could otherwise reach a
   * server on the user's own machine, by a name of its own that it lets point here (DNS rebinding).
   */
  readonly localNamesOnly: boolean;
}

export interface Auth {
  /** Throws ApiError (401), (403) or (421). */
  check(request: FastifyRequest): void;
  /** Other tokens from now on. Where the last one was taken out nobody may ask: what had tokens does not open. */
  replace(tokens: readonly TokenEntry[]): void;
}

export function createAuth({ tokens: first, localNamesOnly }: AuthOptions): Auth {
  let tokens = first ?? [];
  let find = tokenFinder(tokens);
  let wantsTokens = first !== null;
  const roleOf = ({ headers }: FastifyRequest): TokenEntry | null => {
    const token = /^bearer +(\S+)$/i.exec(headers.authorization ?? "")?.[1];
    return token === undefined ? null : find(token);
  };
  return {
    check(request) {
      const access: Access = request.routeOptions.config?.access ?? "predict";
      if (localNamesOnly && !isLocalName(request.headers.host)) {
        throw new ApiError("wrong_host", "this server answers to localhost alone. Start it with --host and tokens");
      }
      if (access === "open" || (access === "predict" && !wantsTokens)) return;
      const isClosed = access === "admin" && !tokens.some(({ role }) => role === "admin");
      if (isClosed) {
        throw new ApiError("forbidden", "there is no admin token. Make one: flexbert serve --new-token NAME --admin");
      }
      const entry = roleOf(request);
      if (!entry) {
        throw new ApiError("no_token", "the request needs a token: Authorization: Bearer TOKEN", {
          "www-authenticate": "Bearer",
        });
      }
      if (access === "admin" && entry.role !== "admin") {
        throw new ApiError("forbidden", `the token ${entry.name} is none of an admin's`);
      }
    },
    replace(next) {
      tokens = next;
      find = tokenFinder(next);
      wantsTokens = true;
    },
  };
}

/** Of a Host header, with or without a port. HTTP/1.0 has none. */
function isLocalName(host: string | undefined): boolean {
  if (host === undefined) return true;
  return /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i.test(host);
}

/** Whether nothing but this machine reaches an address that is listened on. */
export const isLoopback = (host: string): boolean => /^(localhost|127(\.\d{1,3}){3}|::1)$/i.test(host);
