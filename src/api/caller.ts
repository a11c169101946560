// Who calls: what every function of the library takes beside its options. All of it may be left out.

import type { Engine } from "../engines/engine";
import type { Reporter } from "../messages/reporter";
import type { Recipes } from "../recipes/recipe";
import { recipes } from "../recipes/recipes";

export interface Caller {
  /** Hears logs, warnings and progress; silent where there is none. */
  readonly reporter?: Reporter | undefined;
  /** Stops the work at its next step, with its state saved; the call then throws Interrupted. */
  readonly signal?: AbortSignal | undefined;
  /** Lets an engine's native library write its own messages to stderr. */
  readonly verbose?: boolean | undefined;
  /** An open engine for the call to run on; without one it opens its own by its options, and closes it. */
  readonly engine?: Engine | undefined;
  /** The training methods that there are; flexbert's own where there are none of the caller's. */
  readonly recipes?: Recipes | undefined;
}

/** The caller with what it left out. The call is one. */
export interface Call extends Caller {
  readonly reporter: Reporter;
  /** Whoever asks for it stops by it: the command line waits for work that has asked, and for no other. */
  readonly signal: AbortSignal;
  readonly recipes: Recipes;
}

export const silent: Reporter = {
  log: () => undefined,
  warn: () => undefined,
  progress: () => ({ advance: () => undefined, end: () => undefined }),
};

const never = new AbortController().signal;

export function callOf(caller: Caller): Call {
  return {
    reporter: caller.reporter ?? silent,
    get signal() {
      return caller.signal ?? never;
    },
    verbose: caller.verbose,
    engine: caller.engine,
    recipes: caller.recipes ?? recipes,
  };
}
