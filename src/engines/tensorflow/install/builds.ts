// Builds of TensorFlow that `engine install` made (install/build-store.ts).

import { readFileSync } from "node:fs";
import path from "node:path";
import { z } from "zod";
import { buildFields, buildStore, type Stored } from "../../install/build-store";
import { thisPlatform } from "../../install/platform";
import { hasNvidiaDriver } from "../../nvidia";

const flavours = ["cpu", "gpu"] as const;
export type Flavour = (typeof flavours)[number];

/** The version that tests ran with, and that an install without --version brings. */
export const DEFAULT_TENSORFLOW = "2.21.0";

const manifestSchema = z.object({
  ...buildFields,
  tensorflow: z.string(),
  flavour: z.enum(flavours),
  /** Version of @tensorflow/tfjs-node-gpu whose addon was compiled. */
  tfjs: z.string(),
  compiler: z.string(),
});

export type BuildManifest = z.infer<typeof manifestSchema>;
export type Build = Stored<BuildManifest>;

export const buildName = (version: string, flavour: Flavour) => `${version}-${flavour}-${thisPlatform()}`;

/** Version of the tfjs-node package and its folder; null where it is not installed. */
export function tfjsPackage(): { readonly folder: string; readonly version: string } | null {
  try {
    const file = require.resolve("@tensorflow/tfjs-node-gpu/package.json");
    return { folder: path.dirname(file), version: JSON.parse(readFileSync(file, "utf8")).version };
  } catch {
    return null;
  }
}

/** The one that loads is first: for the GPU where there is a driver, then the newest. */
export const tensorflowBuilds = buildStore<BuildManifest>({
  engine: "tensorflow",
  schema: manifestSchema,
  named(name) {
    const [, tensorflow = "?", flavour = "cpu"] = /^(.+?)-(cpu|gpu)-/.exec(name) ?? [];
    return { tensorflow, flavour: flavour as Flavour, tfjs: "", compiler: "" };
  },
  misfit({ tfjs }) {
    const version = tfjsPackage()?.version;
    return version === undefined || version === tfjs
      ? null
      : `it was compiled for tfjs-node ${tfjs}, and ${version} is here`;
  },
  order(a, b) {
    const wanted: Flavour = hasNvidiaDriver() ? "gpu" : "cpu";
    const rank = ({ flavour }: Build) => (flavour === wanted ? 0 : 1);
    return rank(a) - rank(b) || compareVersions(b.tensorflow, a.tensorflow);
  },
});

/** By numbers: 2.9 before 2.21; what is no number comes first. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((version) => version.split(".").map((part) => Number.parseInt(part, 10) || 0));
  for (let i = 0; i < 3; i++) {
    const difference = (left?.[i] ?? 0) - (right?.[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return a < b ? -1 : a > b ? 1 : 0;
}
