// What a submission's objects are called, and their labels.

import { settingsFrom } from "../../options/settings";
import { kubernetesSettings } from "../../settings/jobs";
import type { JobWork } from "../job-system";

export type KubernetesSettings = ReturnType<typeof kubernetesOf>;

export const kubernetesOf = ({ experiment }: Pick<JobWork, "experiment">) =>
  settingsFrom(kubernetesSettings, { ...experiment.jobs?.kubernetes });

export const labelsOf = (experiment: string, number: number) => ({
  "app.kubernetes.io/name": "flexbert",
  "flexbert/experiment": plain(experiment, 63),
  "flexbert/submission": String(number).padStart(4, "0"),
});

/** A name of the API: small letters, digits and dashes. */
const plain = (name: string, longest: number) =>
  name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, longest)
    .replace(/^-+|-+$/g, "") || "flexbert";

/** Of a pod it is a part, with an index of five digits and five of chance: 63 in all. */
export const jobName = ({ experiment, number }: Pick<JobWork, "experiment" | "number">, array: string) =>
  `${plain(experiment.name, 24)}-${String(number).padStart(4, "0")}-${plain(array, 20)}`;
