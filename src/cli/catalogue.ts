// Every command by name: its one summary, for `flexbert --help` and its own, and the module that does it, loaded when it is
// asked for.

import type { Recipes } from "../recipes/recipe";
import { recipes } from "../recipes/recipes";
import type { Command } from "./command";

export interface CommandEntry {
  readonly summary: string;
  // biome-ignore lint/suspicious/noExplicitAny: commands of different options
  readonly load: () => Promise<Command<any>>;
}

/** Commands under one name: `flexbert engine install`. */
export interface CommandGroup {
  readonly summary: string;
  /** The one that is meant where none is named. */
  readonly fallback?: string;
  readonly commands: Readonly<Record<string, CommandEntry>>;
}

export const isGroup = (entry: CommandEntry | CommandGroup): entry is CommandGroup => "commands" in entry;

export type Commands = Readonly<Record<string, CommandEntry | CommandGroup>>;

/** A command of each recipe among the others. */
export const commandsOf = (recipes: Recipes): Commands => ({
  quickstart: {
    summary: "the whole pipeline on the sample tasks, in minutes",
    load: async () => (await import("./commands/quickstart.js")).quickstartCommand,
  },
  run: {
    summary: "a whole experiment from one file",
    load: async () => (await import("./commands/run.js")).runCommand(recipes),
  },
  search: {
    summary: "train within a budget what may still move the front",
    load: async () => (await import("./commands/search.js")).searchCommand(recipes),
  },
  plan: {
    summary: "the trials of an experiment file, with ids and states",
    load: async () => (await import("./commands/plan.js")).planCommand(recipes),
  },
  jobs: {
    summary: "an experiment on Slurm or Kubernetes",
    commands: {
      submit: {
        summary: "hand over what is left, stage by stage",
        load: async () => (await import("./commands/jobs/submit.js")).jobsSubmitCommand(recipes),
      },
      status: {
        summary: "how the jobs stand, and which failed",
        load: async () => (await import("./commands/jobs/status.js")).jobsStatusCommand,
      },
      collect: {
        summary: "the tables, in the plan's order, and which trials are missing",
        load: async () => (await import("./commands/jobs/collect.js")).jobsCollectCommand(recipes),
      },
      cancel: {
        summary: "cancel what has not ended",
        load: async () => (await import("./commands/jobs/cancel.js")).jobsCancelCommand,
      },
      probe: {
        summary: "whether a shared file system has what jobs need",
        load: async () => (await import("./commands/jobs/probe.js")).jobsProbeCommand,
      },
      follow: {
        summary: "in a pod: start each stage after the one before",
        load: async () => (await import("./commands/jobs/follow.js")).jobsFollowCommand,
      },
    },
  },
  ...Object.fromEntries(
    Object.values(recipes).map((recipe) => [
      recipe.method,
      { summary: recipe.summary, load: async () => (await import("./commands/train.js")).trainCommand(recipe) },
    ]),
  ),
  joint: {
    summary: "train one model on several tasks together, and a head for each",
    load: async () => (await import("./commands/joint.js")).jointCommand,
  },
  exits: {
    summary: "train ramps by which texts leave early, and decide where",
    load: async () => (await import("./commands/exits.js")).exitsCommand,
  },
  select: {
    summary: "choose one candidate a task: threshold, budget or name",
    load: async () => (await import("./commands/select.js")).selectCommand,
  },
  merge: {
    summary: "merge tasks into one multi-head model",
    load: async () => (await import("./commands/merge.js")).mergeCommand,
  },
  update: {
    summary: "replace tasks of a merged model by their newest runs",
    load: async () => (await import("./commands/update.js")).updateCommand,
  },
  add: {
    summary: "add tasks to a merged model",
    load: async () => (await import("./commands/update.js")).addCommand,
  },
  remove: {
    summary: "take tasks out of a merged model",
    load: async () => (await import("./commands/update.js")).removeCommand,
  },
  history: {
    summary: "the versions of a merged model",
    load: async () => (await import("./commands/history.js")).historyCommand,
  },
  diff: {
    summary: "how two versions of a merged model differ",
    load: async () => (await import("./commands/diff.js")).diffCommand,
  },
  rollback: {
    summary: "go back to an earlier version of a merged model",
    load: async () => (await import("./commands/rollback.js")).rollbackCommand,
  },
  tag: {
    summary: "name a version of a merged model",
    load: async () => (await import("./commands/tag.js")).tagCommand,
  },
  gc: {
    summary: "remove old versions of a merged model",
    load: async () => (await import("./commands/gc.js")).gcCommand,
  },
  quantize: {
    summary: "int8 weights for a merged model",
    load: async () => (await import("./commands/quantize.js")).quantizeCommand,
  },
  inspect: {
    summary: "what a merged model holds, as a picture",
    load: async () => (await import("./commands/inspect.js")).inspectCommand,
  },
  export: {
    summary: "a merged model in the format of another runtime",
    load: async () => (await import("./commands/export.js")).exportCommand,
  },
  pack: {
    summary: "a function's zip, or the program of a server alone",
    load: async () => (await import("./commands/pack.js")).packCommand,
  },
  report: {
    summary: "what the runs show: one HTML page and a Markdown file",
    load: async () => (await import("./commands/report.js")).reportCommand,
  },
  predict: {
    summary: "labels and scores for texts, for several tasks in one pass",
    load: async () => (await import("./commands/predict.js")).predictCommand,
  },
  eval: {
    summary: "score a merged model or a run on dev rows",
    load: async () => (await import("./commands/eval.js")).evalCommand,
  },
  serve: {
    summary: "a merged model over HTTP, all tasks in one pass",
    load: async () => (await import("./commands/serve.js")).serveCommand,
  },
  submit: {
    summary: "a merged model's predictions as GLUE's site takes them",
    load: async () => (await import("./commands/submit.js")).submitCommand,
  },
  import: {
    summary: "import a branch that somebody else fine-tuned",
    load: async () => (await import("./commands/import.js")).importCommand,
  },
  pull: {
    summary: "bring a base model into the cache",
    load: async () => (await import("./commands/pull.js")).pullCommand,
  },
  tasks: {
    summary: "list the tasks; a tasks file for files of your own",
    fallback: "list",
    commands: {
      list: {
        summary: "the tasks and where their data lies, or the schema of a tasks file",
        load: async () => (await import("./commands/tasks/list.js")).tasksListCommand,
      },
      init: {
        summary: "write a tasks file for files of rows, its columns guessed and shown",
        load: async () => (await import("./commands/tasks/init.js")).tasksInitCommand,
      },
    },
  },
  data: {
    summary: "download GLUE; check task data: rows, labels, leaks",
    fallback: "check",
    commands: {
      check: {
        summary: "rows, label balance, lengths, duplicates, leaks, broken rows",
        load: async () => (await import("./commands/data/check.js")).dataCheckCommand,
      },
      download: {
        summary: "GLUE's files from where they are published",
        load: async () => (await import("./commands/data/download.js")).dataDownloadCommand,
      },
      sample: {
        summary: "write the sample tasks, which are made up by a script",
        load: async () => (await import("./commands/data/sample.js")).dataSampleCommand,
      },
    },
  },
  tokenize: {
    summary: "texts to token ids, as JSON lines",
    load: async () => (await import("./commands/tokenize.js")).tokenizeCommand,
  },
  status: {
    summary: "what is trained, and what is next",
    load: async () => (await import("./commands/status.js")).statusCommand,
  },
  clean: {
    summary: "remove what killed processes left",
    load: async () => (await import("./commands/clean.js")).cleanCommand,
  },
  cache: {
    summary: "list and remove what lies in the cache",
    commands: {
      list: {
        summary: "bases, builds of TensorFlow and what stopped work left, with sizes",
        load: async () => (await import("./commands/cache/list.js")).cacheListCommand,
      },
      remove: {
        summary: "remove bases, builds of TensorFlow, or everything",
        load: async () => (await import("./commands/cache/remove.js")).cacheRemoveCommand,
      },
    },
  },
  bench: {
    summary: "time train steps and inference on every engine",
    load: async () => (await import("./commands/bench.js")).benchCommand,
  },
  engine: {
    summary: "install, list and remove what engines need beside npm",
    commands: {
      install: {
        summary: "TensorFlow's library for the tensorflow engine, CUDA for the onnx engine",
        load: async () => (await import("./commands/engine/install.js")).engineInstallCommand,
      },
      list: {
        summary: "the builds in the cache, and which ones the engines take",
        load: async () => (await import("./commands/engine/list.js")).engineListCommand,
      },
      remove: {
        summary: "remove builds from the cache",
        load: async () => (await import("./commands/engine/remove.js")).engineRemoveCommand,
      },
    },
  },
  doctor: {
    summary: "engines, machine, cache: what is there and what is missing",
    load: async () => (await import("./commands/doctor.js")).doctorCommand,
  },
});

/** Those of flexbert as it comes. */
export const commands = commandsOf(recipes);
