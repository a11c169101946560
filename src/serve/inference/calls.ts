// The JSON of the rare frames: what an inference process is started with, and versions opened and closed in it.

import type { ExitCode } from "../../errors/errors";
import type { DeviceChoice, EngineName, WeightForm } from "../../settings/engine";

/** What a process is started with. */
export interface Settings {
  /** A merged folder. */
  readonly folder: string;
  readonly engine: EngineName;
  /** Of the onnx engine. */
  readonly device: DeviceChoice;
  readonly weights?: WeightForm | undefined;
  readonly threads: number;
  /** Lets it write to stderr. */
  readonly verbose: boolean;
}

export interface Ready {
  /** The engine as it describes itself. */
  readonly engine: string;
  readonly threads: number;
}

export interface OpenCall {
  readonly call: number;
  /** Its id. */
  readonly version: string;
  /** What stands for it in batches. */
  readonly number: number;
}

export interface CloseCall {
  readonly call: number;
  readonly number: number;
}

/** A version as a process has it open. */
export interface OpenedVersion {
  /** Names, in the order of the version's manifest. */
  readonly tasks: readonly string[];
  readonly weights: WeightForm;
  readonly vocabSize: number;
  /** Of the task that takes the longest rows. */
  readonly maxLength: number;
}

/** The answer to a call that opens or closes. */
export interface Answer {
  readonly call: number;
  readonly opened?: OpenedVersion;
}

/** Why something was not done. */
export interface Failed {
  /** 0: the start. */
  readonly call: number;
  readonly message: readonly string[];
  /** Of what the user can mend. */
  readonly exitCode: ExitCode | null;
}
