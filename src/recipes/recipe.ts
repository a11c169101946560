// A training method as a value. Its name is that of its command, of its step in an experiment file and of its folder of
// runs; commands, experiments, selection and reports loop over a record of such values that they are given. Loading one
// loads no engine: what its work needs is imported by `prepare` and `work`.

import type { Base, BaseDescription } from "../checkpoints/bases/base";
import type { RunRecord, StoredRun } from "../checkpoints/runs/run-folder";
import type { Engine } from "../engines/engine";
import { adapterOf } from "../model/adapters/adapters";
import type { Place, PlaceRequest } from "../model/place";
import type { HostTensors } from "../model/tensors";
import type { ForkRange } from "../options/forks";
import type { K, LayerRange } from "../options/layers";
import type { Definitions, Values } from "../options/option";
import type { TrainingOptions } from "../settings/training";
import type { Task } from "../tasks/task";
import type { BranchSource } from "../training/loop/branch-source";
import type { ExtraRows } from "../training/loop/step-rows";
import type { BranchTraining } from "../training/loop/train-branch";
import type { RunContext } from "../training/tracking/tracker";
import type { TaskData } from "./trial/task-data";
import type { TransferRequest, TransferTexts } from "./trial/transfer";
import type { Trunks } from "./trial/trunks";

/** Options of one recipe's trials, by the names that ids and records have them under. */
export type OwnOptions = Readonly<Record<string, unknown>>;

/** What tells the trials of a sweep apart, beside seeds and training options. */
export interface Variant<O extends OwnOptions = OwnOptions> {
  readonly place: PlaceRequest;
  /** What a student begins as. */
  readonly init?: NonNullable<RunRecord["init"]>;
  /** Which of its teacher's layers it begins as; absent: those at its own depth, and the base's where the teacher has none. */
  readonly initLayers?: NonNullable<RunRecord["initLayers"]>;
  /** Seeds of the teacher whose mean output teaches; absent: the teacher alone. */
  readonly teachers?: number;
  /** Whether the task's best full fine-tuning teaches it, whatever else there is; absent: the task's teacher. */
  readonly fullTeacher?: true;
  /** Texts without labels that are trained on too. */
  readonly transfer?: TransferRequest;
  /** They change the weights: the id hashes them. */
  readonly options: O;
}

/** A trial with everything that can change its weights. */
export interface TrialSettings<O extends OwnOptions = OwnOptions> extends Omit<Variant<O>, "transfer"> {
  readonly recipe: Recipe;
  readonly task: Task;
  readonly base: BaseDescription;
  readonly place: Place;
  /** The same as it is said: a fork that is the teacher's as "teacher". */
  readonly asked: PlaceRequest;
  readonly seed: number;
  readonly data: TaskData;
  readonly training: TrainingOptions;
  /** Of a student. */
  readonly teacher?: NonNullable<RunRecord["teacher"]>;
  /** Of a student whose variant asks for several: all of them, the teacher first. */
  readonly taughtBy?: readonly StoredRun[];
  /** What its variant's request means for its task. */
  readonly transfer?: TransferTexts;
}

/** A trial as ids, folders and config.yaml have it: of its method no more than its name and its words. */
export type NamedTrial = Omit<TrialSettings, "recipe"> & { readonly recipe: Pick<Recipe, "method" | "describe"> };

/** How a variant is told from others. */
export interface Description {
  /** How the folders of its runs begin: "k05", "l2-teacher". */
  readonly name: string;
  /** What logs and tables call it: "k=5". */
  readonly label: string;
  /** The options of the command that train this variant alone, for config.yaml. */
  readonly config: Readonly<Record<string, unknown>>;
}

/** Reads a range of layers that an option named by its flag gave: a range is cut to the base, and the log says so. */
export interface Layers {
  /** Of the base. */
  readonly total: number;
  fitting(flag: string, range: LayerRange): readonly K[];
  /** Every number of layers of one option above every fork of another that has room for it, from the shallowest fork. */
  placing(
    flags: { readonly forks: string; readonly layers: string },
    forks: ForkRange,
    layers: LayerRange,
  ): readonly PlaceRequest[];
}

/** What a recipe prepares from, once for all its trials of a task. */
export interface Preparation extends Pick<RunContext<Engine>, "engine" | "reporter" | "signal"> {
  readonly task: Task;
  readonly base: Base;
  readonly data: TaskData;
  /** The task's teacher; there whenever students are made. */
  readonly teacher: StoredRun | null;
  /** As in {@link Trunks}. */
  readonly store: Trunks["store"];
  /** Both splits as a branch at a place reads them. */
  under(place: Place): Promise<{ readonly train: BranchSource; readonly dev: BranchSource }>;
  /** Texts without labels as a branch at a place reads them. */
  transferred(texts: TransferTexts, place: Place): Promise<BranchSource>;
}

/** What a recipe decides about a trial: where the branch begins, what it is trained towards, and what for that is read. */
export interface TrialWork extends Pick<BranchTraining, "initial" | "loss" | "inputs" | "beside"> {
  /** The branch as its run folder has it, made of what was trained. Absent: that itself. */
  readonly stored?: (trained: HostTensors) => HostTensors;
  /** Of a trial with a transfer set: which of its rows are trained on, and what their batches carry. */
  readonly extra?: Omit<ExtraRows, "source">;
}

/**
 * D: its definitions; O: the options of a trial, out of their values; P: what it prepares.
 * Those of a record are of different types, which each of them alone knows.
 */
// biome-ignore lint/suspicious/noExplicitAny: recipes of different options
export interface Recipe<D extends Definitions = any, O extends OwnOptions = any, P = any> {
  readonly method: string;
  /** Teachers are candidates as they are, and the best of a task teaches its students. */
  readonly makes: "teachers" | "students";
  /** What reports call it. */
  readonly title: string;
  /** What tables call its students before their number of layers: "KD" for KD-2. Absent: by the method. */
  readonly short?: string;
  readonly summary: string;
  readonly description: string;
  /** Command lines without the leading "flexbert". At least one. */
  readonly examples: readonly string[];
  /** Its own options, beside those of all training. */
  readonly options: D;
  /**
   * Where its training has other defaults than all training. Changed ones hide nothing: an experiment goes on with runs that
   * it began with those of all training.
   */
  readonly defaults?: Partial<TrainingOptions>;
  /**
   * How its section of an experiment file takes them: "required", a "value", or a "list" of which each gives trials of its
   * own. Those left out are the command's alone.
   */
  readonly inFile: { readonly [K in keyof D]?: "required" | "value" | "list" };
  /** The variants that options ask for, from the shallowest fork to the deepest: no trunk layer is computed twice. */
  settings(values: Values<D>, layers: Layers): Variant<O>[];
  describe(variant: Variant<O>): Description;
  /** Whether all its students stand on forks of their own, none on its teacher's. Absent: never. */
  standsAlone?(values: Values<D>): boolean;
  /** Whether each step of such a trial runs its whole teacher beside the student. Absent: never. */
  runsTeacher?(options: O): boolean;
  /** Whether its sweep stops trials that lag behind: halving/. Absent: never. */
  halves?(values: Values<D>): boolean;
  /** Runs before the first trial of a task that is not finished. */
  prepare(preparation: Preparation): Promise<P>;
  /**
   * What a trial reads that is computed once for those that read the same: they follow one another in a sweep. Absent: the
   * same for all.
   */
  lesson?(trial: TrialSettings<O>): unknown;
  work(trial: TrialSettings<O> & { readonly base: Base }, prepared: P): Promise<TrialWork>;
  /** Gives back what `prepare` and `work` hold, after the last trial. */
  release?(prepared: P): Promise<void>;
}

/** Recipes by their method. Students come after the teachers that they learn from. */
export type Recipes = Readonly<Record<string, Recipe>>;

/** Keeps the types of a recipe's options and of what it prepares. */
export const defineRecipe = <D extends Definitions, O extends OwnOptions, P>(
  recipe: Recipe<D, O, P>,
): Recipe<D, O, P> => recipe;

/** How a trial is told from others. */
export const describeSettings = ({ recipe, asked, ...variant }: NamedTrial): Description =>
  recipe.describe({ ...variant, place: asked });

/** What a student begins as, in words: "teacher", "teacher, top"; "" for what is no student. */
export const startOf = ({ init, initLayers }: Pick<Variant, "init" | "initLayers">): string =>
  [init, initLayers].filter((word) => word !== undefined).join(", ");

/** Whether what comes of a trial may be its task's teacher: not where its layers stay frozen, which no student learns from. */
export const mayTeach = ({ recipe, options }: { readonly recipe: Recipe; readonly options: OwnOptions }): boolean =>
  recipe.makes === "teachers" && adapterOf(options) === null;

export const recipesThatMake = (makes: Recipe["makes"], recipes: Recipes): Recipe[] =>
  Object.values(recipes).filter((recipe) => recipe.makes === makes);
