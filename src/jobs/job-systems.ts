// The job systems by their names.

import type { JobSystemName } from "../settings/jobs";
import type { JobSystem } from "./job-system";
import { kubernetes } from "./kubernetes/kubernetes";
import { slurm } from "./slurm";

export const systems: Readonly<Record<JobSystemName, JobSystem>> = { slurm, kubernetes };
