// How training does its work, and where: nothing here changes the weights.

import os from "node:os";
import { option, optional, toggle } from "../options/option";
import { bytes, decimal, text } from "../options/readers";
import type { SettingsOf } from "../options/settings";

/** Bytes of memory that this process may have: the machine's, or less where a container is given less. */
const memoryLimit = () => Math.min(os.totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);

export const checkpointOptions = {
  checkpoints: option(text, {
    flag: "--checkpoints",
    value: "<folder>",
    help: "where run folders lie",
    fallback: "checkpoints",
  }),
};

export const workOptions = {
  saveEvery: option(decimal({ min: 0 }), {
    flag: "--save-every",
    value: "<seconds>",
    help: "save the state this often inside an epoch",
    fallback: 60,
  }),
  cacheBudget: option(bytes(memoryLimit), {
    flag: "--cache-budget",
    value: "<size>",
    help: "memory for trunk activations, such as 4GiB or 25%",
    fallback: "25%",
  }),
  nodeCache: optional(text, {
    flag: "--node-cache",
    value: "<folder>",
    help: "on this machine's own disk: processes share trunk activations there",
  }),
  force: toggle({ flag: "--force", short: "-f", help: "train again what is finished", inConfig: false }),
};

export const workSettings = { ...checkpointOptions, ...workOptions };

/** Seconds between saved states, bytes of memory, folders: they cannot change the weights. */
export type WorkOptions = SettingsOf<typeof workSettings>;
