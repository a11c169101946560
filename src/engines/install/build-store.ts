// Builds that `engine install` made of an engine's libraries: one folder each under the cache, complete once its build.json is
// there. A hidden folder, because the cache's other folders are named after models.

import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { z } from "zod";
import { UserError } from "../../errors/errors";
import { writeFileAtomic } from "../../files/atomic";
import { cacheFolder } from "../../files/cache";
import { formatProblem, stamped } from "../../files/format";
import { parseJson } from "../../files/json";
import { removeWithWork } from "../../files/work-folder";
import { thisPlatform } from "./platform";

const MANIFEST = "build.json";
export const BUILD_FORMAT = 1;

/** What every engine's build.json holds, beside what it is a build of. */
export const buildFields = {
  format: z.literal(BUILD_FORMAT),
  flexbert: z.string().optional(),
  platform: z.string(),
  wheels: z.array(z.object({ file: z.string(), sha256: z.string() })),
  /** Bytes of every file. */
  files: z.record(z.string(), z.number()),
};

type BuildFacts = z.infer<z.ZodObject<typeof buildFields>>;

export type Stored<M> = M & {
  readonly name: string;
  readonly folder: string;
  readonly bytes: number;
  /** Why it cannot be used, or null. */
  readonly problem: string | null;
};

export interface BuildStore<M> {
  folder(cache?: string): string;
  /** Where a build is put together, and where what was fetched waits for the next attempt. */
  work(name: string, cache?: string): string;
  /** All builds for this platform; the one that is taken is first. */
  list(cache?: string): Stored<M>[];
  /** The same; none for a user who has no cache folder, since other engines need none. */
  installed(): Stored<M>[];
  find(name: string, cache?: string): Stored<M> | null;
  /** Removes a build, and what a stopped install of it left. Processes that run it keep its files until they end. */
  remove(name: string, cache?: string): Promise<void>;
  /** Names of builds whose install or removal was stopped, or is under way. */
  stopped(cache?: string): string[];
}

interface BuildKind<M extends BuildFacts> {
  /** Name of its folder among the engines'. */
  readonly engine: string;
  readonly schema: z.ZodType<M>;
  /** What a build is of, by its name alone: where its manifest is missing. */
  named(name: string): Omit<M, keyof BuildFacts>;
  /** Of a build whose files are whole: why it does not fit what is installed here, or null. */
  misfit(manifest: M): string | null;
  /** Of builds that are equally whole: which comes first. */
  order(a: Stored<M>, b: Stored<M>): number;
}

export function buildStore<M extends BuildFacts>(kind: BuildKind<M>): BuildStore<M> {
  const root = (cache = cacheFolder()) => path.join(cache, ".engines", kind.engine);
  const work = (name: string, cache?: string) => path.join(root(cache), ".installing", name);
  const list = (cache?: string): Stored<M>[] => {
    const folder = root(cache);
    if (!existsSync(folder)) return [];
    const names = readdirSync(folder).filter((name) => !name.startsWith(".") && name.endsWith(`-${thisPlatform()}`));
    const broken = ({ problem }: Stored<M>) => (problem === null ? 0 : 1);
    return names.map((name) => readBuild(kind, name, folder)).sort((a, b) => broken(a) - broken(b) || kind.order(a, b));
  };
  return {
    folder: root,
    work,
    list,
    installed() {
      try {
        return list();
      } catch (error) {
        if (error instanceof UserError) return [];
        throw error;
      }
    },
    find(name, cache) {
      const folder = root(cache);
      return existsSync(path.join(folder, name)) ? readBuild(kind, name, folder) : null;
    },
    remove: (name, cache) => removeWithWork(path.join(root(cache), name), work(name, cache), `removing ${name}`),
    stopped(cache) {
      const folder = path.dirname(work("any", cache));
      return existsSync(folder) ? readdirSync(folder) : [];
    },
  };
}

function readBuild<M extends BuildFacts>(kind: BuildKind<M>, name: string, root: string): Stored<M> {
  const folder = path.join(root, name);
  const unusable = (problem: string) => {
    const facts: BuildFacts = { format: BUILD_FORMAT, platform: thisPlatform(), wheels: [], files: {} };
    return { ...facts, ...kind.named(name), name, folder, bytes: 0, problem } as Stored<M>;
  };
  try {
    const json: unknown = parseJson(readFileSync(path.join(folder, MANIFEST), "utf8"));
    const foreign = formatProblem(json, BUILD_FORMAT);
    if (foreign !== null) return unusable(`its ${MANIFEST} ${foreign}`);
    const manifest = kind.schema.parse(json);
    const bytes = Object.values(manifest.files).reduce((sum, size) => sum + size, 0);
    return { ...manifest, name, folder, bytes, problem: fileProblem(manifest, folder) ?? kind.misfit(manifest) };
  } catch {
    return unusable(`its ${MANIFEST} is missing or damaged`);
  }
}

function fileProblem({ files }: BuildFacts, folder: string): string | null {
  for (const [file, bytes] of Object.entries(files)) {
    const found = statSync(path.join(folder, file), { throwIfNoEntry: false })?.size;
    if (found !== bytes) return found === undefined ? `${file} is missing` : `${file} has ${found} bytes, not ${bytes}`;
  }
  return null;
}

/** The last file of a build: it is whole from then on. */
export const writeManifest = (build: string, manifest: BuildFacts): Promise<void> =>
  writeFileAtomic(path.join(build, MANIFEST), `${JSON.stringify(stamped(manifest), null, 2)}\n`);
