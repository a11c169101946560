// How one call of a command goes: options that change nothing of what it makes.

import { optional, toggle } from "../options/option";
import { text } from "../options/readers";

/** How every command talks. */
export const talk = {
  json: toggle({ flag: "--json", help: "print the result as JSON on stdout", inConfig: false }),
  quiet: toggle({
    flag: "--quiet",
    short: "-q",
    help: "no logs and no progress, only results and errors",
    inConfig: false,
  }),
  verbose: toggle({ flag: "--verbose", short: "-v", help: "more logs, and stack traces of errors", inConfig: false }),
};

/** Nothing but pull, quickstart and data download uses the network at all; the flag means the same everywhere. */
export const offline = {
  offline: toggle({
    flag: "--offline",
    help: "never use the network; only pull, quickstart and data download do",
    inConfig: false,
  }),
};

export const configOption = {
  config: optional(text, {
    flag: "--config",
    short: "-c",
    value: "<file>",
    help: "options from a YAML file; flags win over it",
    inConfig: false,
  }),
};

export const dryRun = {
  dryRun: toggle({ flag: "--dry-run", help: "print what would be done, and do nothing", inConfig: false }),
};
