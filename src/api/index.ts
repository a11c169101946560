// The package's public surface: what `import ... from "flexbert"` gives, and nothing else of it is promised.
// Loading it loads no engine and starts nothing: each function loads what it needs when it is called.
// biome-ignore-all lint/performance/noBarrelFile: an entry point is what the rule makes an exception for

export type { DataReport } from "../data/check";
export type { DownloadedTask } from "../data/glue/download";
export type { Engine } from "../engines/engine";
export { ExitCode, UserError } from "../errors/errors";
export type { Exported, ExportPlan } from "../export/export";
export type { ExportFormatName } from "../export/format";
export type { ProgressBar, Reporter } from "../messages/reporter";
export { Interrupted } from "../messages/reporter";
export type { ServedTask } from "../predict/model";
export type { RowFile } from "../predict/row-file";
export type { InputRow, PredictedRow } from "../predict/rows";
export type { LatencyModel } from "../selection/latency";
export type { Prediction } from "../tasks/kinds/kind";
export type { Tokenizer } from "../tokenizer/tokenizer";
export { type BenchEstimate, type BenchOptions, type BenchResult, bench, planBench } from "./bench";
export { type CacheContents, listCache, type RemoveCachedOptions, type Removed, removeCached } from "./cache";
export type { Caller } from "./caller";
export { type CleanOptions, clean, type Leftover } from "./clean";
export { type CheckDataOptions, checkData, writeSampleTasks } from "./data";
export { type DoctorResult, doctor } from "./doctor";
export { type DownloadOptions, downloadData, type PlannedDownload, planDownload } from "./download";
export {
  type BuildList,
  type CudaInstallPlan,
  type CudaList,
  type Installed,
  type InstalledCuda,
  type InstallOptions,
  type InstallPlan,
  installCuda,
  installTensorflow,
  listBuilds,
  listCudaBuilds,
  planCudaInstall,
  planInstall,
  type RemoveBuildsOptions,
  type RemovedBuild,
  removeBuilds,
  removeCudaBuilds,
} from "./engines";
export {
  type EvaluateOptions,
  type EvaluationOptions,
  type EvaluationResult,
  evaluate,
  type TaskScores,
} from "./evaluate";
export { type ExitsOptions, type ExitsResult, exits, type PlannedExits, planExits, type TaskExits } from "./exits";
export {
  type DescribedTrial,
  type ExperimentEstimate,
  type ExperimentPlan,
  estimateExperiment,
  type PlanOptions,
  planExperiment,
} from "./experiment/plan";
export { type ExperimentResult, type RunOptions, run } from "./experiment/run";
export { type ExportOptions, exportModel, planExport } from "./export";
export { type ImportOptions, importBranch } from "./import";
export { type InitOptions, initTasks, type PlannedTask, planInit } from "./init";
export { type Inspection, type InspectOptions, inspect } from "./inspect";
export { type CollectedJobs, type CollectOptions, collectJobs } from "./jobs/collect";
export { cancelJobs, type JobsOptions, type JobsStatus, jobsStatus } from "./jobs/status";
export { type SubmitOptions as SubmitJobsOptions, type SubmittedJobs, submitJobs } from "./jobs/submit";
export {
  type JointModel,
  type JointOptions,
  type JointResult,
  joint,
  type PlannedModel,
  planJoint,
} from "./joint";
export {
  type DiffOptions,
  diffVersions,
  type GcOptions,
  gc,
  type HistoryOptions,
  history,
  planGc,
  type RollbackOptions,
  type RollbackResult,
  rollback,
  type TagOptions,
  tag,
} from "./merge/history";
export {
  addTasks,
  type ChosenRun,
  type MergeOptions,
  type MergeResult,
  merge,
  planAdd,
  planMerge,
  planRemove,
  planUpdate,
  type RemoveOptions,
  removeTasks,
  type UpdateOptions,
  updateTasks,
} from "./merge/merge";
export { type EngineOptions, openEngine } from "./open-engine";
export {
  type FileRowsOptions,
  type GivenRow,
  type OpenModel,
  openModel,
  type PredictOptions,
  predict,
} from "./open-model";
export { type Packed, type PackOptions, type PackPlan, type PackTarget, pack, planPack } from "./pack";
export { type PulledBase, type PullOptions, planPull, pull } from "./pull";
export { planQuantize, type QuantizeOptions, type QuantizePlan, quantize } from "./quantize";
export { type QuickstartOptions, type QuickstartResult, quickstart } from "./quickstart";
export { type ReportOptions, type ReportResult, report } from "./report";
export type { RunSummary } from "./runs";
export { type SearchOptions, search } from "./search";
export type { SelectOptions } from "./select/options";
export { measureLatency, type SelectResult, select } from "./select/select";
export { type NewTokenOptions, newServeToken, type RunningServer, type ServeOptions, serve } from "./serve";
export type { ModelOptions } from "./served-model";
export { type StatusOptions, status, type TaskStatus } from "./status";
export { type PlannedSubmission, planSubmission, type Submission, type SubmitOptions, submit } from "./submit";
export { type ListedTask, type ListTasksOptions, listTasks } from "./tasks";
export { openTokenizer, type TokenizerOptions } from "./tokenizer";
export { type EstimatedTrial, planDistill, planFinetune, type TrainingPlan } from "./train/plan";
export {
  type DistillOptions,
  distill,
  type FinetuneOptions,
  finetune,
  type TrainedTask,
  type TrainResult,
} from "./train/train";
