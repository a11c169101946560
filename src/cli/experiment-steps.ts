// The steps of an experiment that other commands do: which command, with which options.

import type { EngineValues } from "../api/session";
import type { LastStep } from "../experiment/plan";
import type { Experiment } from "../experiment/read";
import type { Outputs } from "../experiment/steps";
import { resolveOptions } from "../options/option";
import { talk } from "../settings/call";
import type { Command } from "./command";
import type { Terminal } from "./terminal";

// biome-ignore lint/suspicious/noExplicitAny: commands of different options
const stepCommands: Readonly<Record<LastStep, () => Promise<Command<any>>>> = {
  select: async () => (await import("./commands/select.js")).selectCommand,
  merge: async () => (await import("./commands/merge.js")).mergeCommand,
  report: async () => (await import("./commands/report.js")).reportCommand,
};

/** Options of a command by camel-case name; undefined where an option is not given. */
type Flags = Readonly<Record<string, string | number | boolean | undefined>>;

export interface StepContext {
  readonly experiment: Experiment;
  readonly outputs: Outputs;
  readonly checkpoints: string;
  readonly glueData: string;
  /** What select measures layers on, and merge checks model.onnx against. */
  readonly engine: EngineValues;
}

const common = ({ experiment, checkpoints }: StepContext): Flags => ({
  task: experiment.tasks.map(({ name }) => name).join(","),
  tasks: experiment.tasksFile ?? undefined,
  base: experiment.base,
  checkpoints,
  chooseBy: experiment.chooseBy,
});

/** The options of each step's command. */
const flagsOf: Record<LastStep, (context: StepContext) => Flags> = {
  select: (context) => ({
    ...common(context),
    threshold: context.experiment.select?.threshold,
    maxLayers: context.experiment.select?.max_layers,
    maxLatency: context.experiment.select?.max_latency,
    measure: context.experiment.select?.max_latency === undefined ? undefined : true,
    ...context.engine,
    out: context.outputs.selection,
  }),
  merge: (context) => ({
    ...common(context),
    select: context.experiment.select ? context.outputs.selection : context.experiment.merge?.select,
    out: context.outputs.merged,
    glueData: context.glueData,
    ...context.engine,
  }),
  report: (context) => ({
    ...common(context),
    merged: context.experiment.merge ? context.outputs.merged : undefined,
    out: context.outputs.report,
  }),
};

/** Runs a step's command. With --json its own document is left out: the experiment prints one for all. */
export async function runStepCommand(step: LastStep, context: StepContext, terminal: Terminal): Promise<void> {
  await call(step, flagsOf[step](context), terminal);
  if (step === "merge") await removeOthers(context, terminal);
}

/** Tasks that an earlier version of the file had merged into the same folder. */
async function removeOthers({ experiment, outputs, glueData, engine }: StepContext, terminal: Terminal): Promise<void> {
  const { readManifest } = await import("../merge/folder/manifest.js");
  const { tasks } = await readManifest(outputs.merged);
  const others = tasks.map(({ name }) => name).filter((name) => !experiment.tasks.some((task) => task.name === name));
  if (others.length > 0)
    await call(
      "merge",
      { out: outputs.merged, remove: others.join(","), tasks: experiment.tasksFile ?? undefined, glueData, ...engine },
      terminal,
    );
}

async function call(name: LastStep, flags: Flags, terminal: Terminal): Promise<void> {
  const command = await stepCommands[name]();
  const own: Terminal = {
    ...terminal,
    get signal() {
      return terminal.signal;
    },
    printJson: () => undefined,
  };
  await command.run(resolveOptions({ ...command.options, ...talk }, flags, null), own, []);
}
