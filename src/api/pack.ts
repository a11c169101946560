// What serves a merged model elsewhere: a function's zip, or the program of a server without what training needs.

import { usageError } from "../errors/errors";
import { type Given, readGiven } from "../options/given";
import { option, optional, toggle, type Values } from "../options/option";
import { choice, list, text } from "../options/readers";
import type { Part } from "../serve/pack/contents";
import type { Pack } from "../serve/pack/pack";
import type { Platform } from "../serve/pack/program";
import { type WeightForm, weightsOption } from "../settings/engine";
import { modelFolder, versionOption } from "../settings/model";

export const packTargets = ["lambda", "server"] as const;
export type PackTarget = (typeof packTargets)[number];

export const packOptions = {
  target: option(choice(packTargets), {
    flag: "--target",
    value: "<target>",
    help: "lambda (a function's zip, with the model) or server (a folder with the program alone)",
    fallback: "lambda",
  }),
  merged: optional(text, { ...modelFolder("--merged"), help: "of lambda: the merged folder (default merged)" }),
  ...versionOption,
  task: optional(list, {
    flag: "--task",
    short: "-t",
    value: "<names>",
    help: "of lambda: these of its tasks, without the layers of the others (default all)",
  }),
  ...weightsOption,
  arch: optional(choice(["x64", "arm64"]), {
    flag: "--arch",
    value: "<name>",
    help: "processors that it runs on: x64 or arm64 (default x64 for lambda, this machine's for server)",
  }),
  out: optional(text, {
    flag: "--out",
    short: "-o",
    value: "<place>",
    help: "what to write (default flexbert-lambda.zip, flexbert-server)",
  }),
  force: toggle({ flag: "--force", short: "-f", help: "replace what is there" }),
};

export type PackOptions = Given<typeof packOptions>;

export interface PackPlan {
  readonly target: PackTarget;
  readonly out: string;
  readonly platform: string;
  /** Unpacked. */
  readonly bytes: number;
  readonly parts: Readonly<Record<Part, number>>;
  readonly files: number;
  /** null where there is none within. */
  readonly model: { readonly version: string; readonly weights: WeightForm; readonly tasks: readonly string[] } | null;
}

export interface Packed extends PackPlan {
  /** Of what was written. */
  readonly packed: number;
}

/** What would be packed. Throws as {@link pack} does. */
export async function planPack(options: PackOptions = {}): Promise<PackPlan> {
  return (await planned(readGiven(packOptions, options))).plan;
}

/**
 * Writes a pack. Throws UserError (2) where something lies there or options do not go together, (4) for no merged model or
 * one that is too large for a function, (6) where onnxruntime-node is not installed.
 */
export async function pack(options: PackOptions = {}): Promise<Packed> {
  const values = readGiven(packOptions, options);
  const { plan, made } = await planned(values);
  const { writeFunction, writeServer } = await import("../serve/pack/pack.js");
  const write = plan.target === "lambda" ? writeFunction : writeServer;
  return { ...plan, packed: await write(made, plan.out, values.force) };
}

async function planned(values: Values<typeof packOptions>): Promise<{ plan: PackPlan; made: Pack }> {
  const { target, merged: folder = "merged", version, task: tasks, weights } = values;
  const { planFunction, planServer } = await import("../serve/pack/pack.js");
  const { bytesByPart, bytesOf } = await import("../serve/pack/contents.js");
  const platform: Platform =
    target === "lambda"
      ? { os: "linux", arch: values.arch ?? "x64" }
      : { ...here(), ...(values.arch && { arch: values.arch }) };
  if (target === "server") refuseModel(values);
  const made =
    target === "server"
      ? planServer(platform)
      : await planFunction({ folder, version, tasks, weights, arch: platform.arch });
  const { files, model } = made;
  const plan = {
    target,
    out: values.out ?? (target === "lambda" ? "flexbert-lambda.zip" : "flexbert-server"),
    platform: `${platform.os} ${platform.arch}`,
    bytes: bytesOf(files),
    parts: bytesByPart(files),
    files: files.length,
    model,
  };
  return { plan, made };
}

const here = (): Platform => ({ os: process.platform as Platform["os"], arch: process.arch as Platform["arch"] });

/** A server's model lies beside it, and changes while it runs. */
function refuseModel(values: Values<typeof packOptions>): void {
  const idle = (["merged", "version", "task", "weights"] as const).find((name) => values[name] !== undefined);
  if (idle === undefined) return;
  throw usageError(
    `--${idle} is of --target lambda: a server's pack has no model. Give the folder to flexbert serve --merged`,
  );
}
