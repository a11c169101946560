// The folder of a model: one that merge made or, where a command takes those too, a run's.

/** The two spellings that every command takes, and the one that its help shows. */
export const modelFolder = (shown: "--model" | "--merged") => ({
  flag: shown,
  alias: shown === "--model" ? "--merged" : "--model",
  short: "-m",
  value: "<folder>",
});
