// The steps of an experiment that other commands do: which command, with which options.

import { usageError } from "../errors/errors";
import type { Experiment } from "../experiment/read";
import type { LastStep, Outputs } from "../experiment/steps";
import { talk } from "../options/common";
import { camelCase, resolveOptions } from "../options/option";
import type { Command } from "./command";
import type { Terminal } from "./terminal";

/** The command of each step. A step that is not here is an error of the file that asks for it. */
// biome-ignore lint/suspicious/noExplicitAny: commands of different options
type StepCommands = Readonly<Partial<Record<LastStep, () => Promise<Command<any>>>>>;

const stepCommands: StepCommands = {
  merge: async () => (await import("./merge.js")).mergeCommand,
};

/** Options of a command by camel-case name; undefined where an option is not given. */
type Flags = Readonly<Record<string, string | number | undefined>>;

export interface StepContext {
  readonly experiment: Experiment;
  readonly outputs: Outputs;
  readonly checkpoints: string;
  readonly glueData: string;
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
    out: context.outputs.selection,
  }),
  merge: (context) => ({
    ...common(context),
    select: context.experiment.select ? context.outputs.selection : context.experiment.merge?.select,
    out: context.outputs.merged,
  }),
  report: (context) => ({ ...common(context), out: context.outputs.report }),
};

/** Throws usageError (2) where a step's command is absent, or lacks an option that the file asks for. */
export async function requireCommand(
  step: LastStep,
  context: StepContext,
  available: StepCommands = stepCommands,
): Promise<void> {
  const { file } = context.experiment;
  const leave = `Take ${step} out of ${file}, or give --only with another step`;
  const load = available[step];
  if (!load) {
    throw usageError(`${file}: the step ${step} needs the command ${step}, which this flexbert lacks. ${leave}`);
  }
  const { options } = await load();
  const known = Object.values(options as Record<string, { flag: string }>).map(({ flag }) => camelCase(flag));
  const unknown = Object.entries(flagsOf[step](context)).find(
    ([name, value]) => value !== undefined && !known.includes(name),
  );
  if (unknown) throw usageError(`${file}: flexbert ${step} has no option for ${unknown[0]} (${unknown[1]}). ${leave}`);
}

/** Runs a step's command. With --json its own document is left out: the experiment prints one for all. */
export async function runStepCommand(step: LastStep, context: StepContext, terminal: Terminal): Promise<void> {
  await requireCommand(step, context);
  await call(step, flagsOf[step](context), terminal);
  if (step === "merge") await removeOthers(context, terminal);
}

/** Tasks that an earlier version of the file had merged into the same folder. */
async function removeOthers({ experiment, outputs }: StepContext, terminal: Terminal): Promise<void> {
  const { readManifest } = await import("../merge/manifest.js");
  const { tasks } = await readManifest(outputs.merged);
  const others = tasks.map(({ name }) => name).filter((name) => !experiment.tasks.some((task) => task.name === name));
  if (others.length > 0) await call("merge", { out: outputs.merged, remove: others.join(",") }, terminal);
}

async function call(name: LastStep, flags: Flags, terminal: Terminal): Promise<void> {
  const command = await (stepCommands[name] as NonNullable<(typeof stepCommands)[LastStep]>)();
  const own: Terminal = {
    ...terminal,
    get signal() {
      return terminal.signal;
    },
    printJson: () => undefined,
  };
  await command.run(resolveOptions({ ...command.options, ...talk }, flags, null), own, []);
}
