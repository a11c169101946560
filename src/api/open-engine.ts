// An engine for several calls, so that each need not open its own.

import type { Engine } from "../engines/engine";
import { type Given, readGiven } from "../options/given";
import { engineOptions, precisionOption } from "../settings/engine";
import { type Caller, callOf } from "./caller";
import { openSession } from "./session";

const options = { ...engineOptions, ...precisionOption };

export type EngineOptions = Given<typeof options>;

/**
 * Opens an engine; give it to calls as `engine`, and dispose of it after them. Throws UserError (6) with the reason and
 * the remedy for one that is not here.
 */
export async function openEngine(given: EngineOptions = {}, caller: Caller = {}): Promise<Engine> {
  return (await openSession(readGiven(options, given), callOf(caller))).engine;
}
