// What a submission to Kubernetes says, object by object; bench/cluster/kubernetes.sh holds it to the API's own schema.

import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, expect, test } from "@jest/globals";
import { parseAllDocuments } from "yaml";
import { cwd } from "../cli/experiment";
import { flexbert } from "../cli/flexbert";

// biome-ignore lint/suspicious/noExplicitAny: objects of the API as they are written
type Written = any;

const section = (kubernetes: string) =>
  `jobs: { cpus: 1, gpus: 1, device: cuda, pack: 1, kubernetes: { ${kubernetes} } }\n`;
const dry = (file: string) => flexbert(["jobs", "submit", file, "--on", "kubernetes", "--dry-run"], { cwd });

beforeAll(() => {
  const small = readFileSync(path.join(cwd, "small.yaml"), "utf8");
  const own = section("image: flexbert:1, volume: data, queue: gpu, namespace: team, retries: 3, storage: 1GiB");
  writeFileSync(path.join(cwd, "pods.yaml"), small + own);
  writeFileSync(path.join(cwd, "bare.yaml"), small);
});

const objects = (): Written[] => parseAllDocuments(dry("pods.yaml").stdout).map((document) => document.toJS());
const jobs = () => objects().filter(({ kind, metadata }) => kind === "Job" && !metadata.name.endsWith("-stages"));

test("indexed Jobs with retries an index and a policy by exit codes, the later ones suspended", () => {
  const [finetune, distill, merge] = jobs().map(({ spec }) => spec);
  expect(finetune).toMatchObject({
    completionMode: "Indexed",
    completions: 8,
    backoffLimitPerIndex: 3,
    maxFailedIndexes: 8,
  });
  expect(finetune.podFailurePolicy.rules).toMatchObject([
    { action: "FailIndex", onExitCodes: { values: [2, 3, 4, 5, 6] } },
    { action: "Ignore", onExitCodes: { values: [143] } },
    { action: "Ignore", onPodConditions: [{ type: "DisruptionTarget" }] },
  ]);
  expect([distill.suspend, merge.suspend]).toEqual([true, true]);
  expect(jobs().map(({ metadata }) => metadata.labels["kueue.x-k8s.io/queue-name"])).toEqual([
    "gpu",
    undefined,
    undefined,
  ]);
});

test("a GPU for what trains and none for what merges, nobody's root, the volume and the file in its place", () => {
  const [finetune, , merge] = jobs().map(({ spec }) => spec.template.spec);
  expect(finetune.containers[0].resources.limits).toMatchObject({ cpu: "1", "nvidia.com/gpu": "1" });
  expect(merge.containers[0].resources.limits).not.toHaveProperty(["nvidia.com/gpu"]);
  expect(finetune.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 1000, fsGroup: 1000 });
  expect(finetune.volumes[0]).toMatchObject({ persistentVolumeClaim: { claimName: "data" } });
  expect(finetune.containers[0].volumeMounts[1]).toMatchObject({
    mountPath: "/project/pods.yaml",
    subPath: "experiment.yaml",
  });
  const [command] = finetune.containers[0].command.slice(-1);
  expect(command).toMatch(
    /^exec flexbert run pods.yaml .* --device cuda --threads 1 --trial "\$\(sed -n .* \/etc\/flexbert\/finetune\.txt\)"$/,
  );
});

test("the list of trials and the file are in the ConfigMap; the pod that starts stages may patch these Jobs alone", () => {
  const all = objects();
  const { data } = all.find(({ kind }) => kind === "ConfigMap");
  expect(data["finetune.txt"]).toBe("0\n1\n2\n3\n4\n5\n6\n7\n");
  expect(data["experiment.yaml"]).toBe(readFileSync(path.join(cwd, "pods.yaml"), "utf8"));
  const [rule] = all.find(({ kind }) => kind === "Role").rules;
  expect(rule).toMatchObject({ verbs: ["get", "patch"], resourceNames: jobs().map(({ metadata }) => metadata.name) });
  expect(all.every(({ metadata }) => metadata.namespace === "team")).toBe(true);
});

test("without an image or a volume, and for what lies outside of the project, it says so", () => {
  const { status, stderr } = dry("bare.yaml");
  expect([status, stderr]).toEqual([2, expect.stringMatching(/jobs\.kubernetes\.image and jobs\.kubernetes\.volume/)]);
  const outside = flexbert("jobs submit pods.yaml --on kubernetes --dry-run --out /elsewhere".split(" "), { cwd });
  expect([outside.status, outside.stderr]).toEqual([2, expect.stringMatching(/--out must lie in the working folder/)]);
});

test("a folder of the node's is mounted where trials are trained, and in no other pod; one by a variable is refused", () => {
  const small = readFileSync(path.join(cwd, "small.yaml"), "utf8");
  const section = (folder: string) => `jobs: { node_cache: ${folder}, kubernetes: { image: i, volume: v } }\n`;
  writeFileSync(path.join(cwd, "near.yaml"), small + section("/var/flexbert"));
  const objects = parseAllDocuments(dry("near.yaml").stdout).map((document) => document.toJS());
  const specs = objects
    .filter(({ kind, metadata }) => kind === "Job" && !metadata.name.endsWith("-stages"))
    .map(({ spec }) => spec.template.spec);
  const mounted = specs.map(({ volumes, containers: [{ volumeMounts, command }] }) => [
    volumes.find(({ name }: Written) => name === "node")?.hostPath,
    volumeMounts.find(({ name }: Written) => name === "node")?.mountPath,
    / --node-cache (\S+) --trial/.exec(command.at(-1))?.[1],
  ]);
  const own = [{ path: "/var/flexbert", type: "Directory" }, "/node-cache", "/node-cache"];
  expect(mounted).toEqual([own, own, [undefined, undefined, undefined]]);
  writeFileSync(path.join(cwd, "near.yaml"), small + section("$TMPDIR"));
  const { status, stderr } = dry("near.yaml");
  expect([status, stderr]).toEqual([2, expect.stringMatching(/jobs\.node_cache: \$TMPDIR: Kubernetes mounts/)]);
});

test.each([
  ["jobs: { node_cache: cache }", /jobs\.node_cache: takes an absolute path without blanks/],
  ["jobs: { node_cache: '/tmp/$(id)' }", /jobs\.node_cache: takes an absolute path without blanks/],
  ["jobs: { gpus: 2 }", /jobs\.gpus: takes a whole number from 0 to 1, got 2/],
  ["jobs: { slurm: { partitoin: a } }", /jobs\.slurm\.partitoin: unknown key \(did you mean "partition"\?\)/],
  ["jobs: { slurm: { account: 'a; rm -rf /' } }", /jobs\.slurm\.account: takes a name of letters/],
  ["jobs: { pack: 0 }", /jobs\.pack: takes "auto" or a whole number/],
])("a file with %s is refused", (line, message) => {
  writeFileSync(path.join(cwd, "wrong.yaml"), `${readFileSync(path.join(cwd, "small.yaml"), "utf8")}${line}\n`);
  const { status, stderr } = dry("wrong.yaml");
  expect([status, stderr]).toEqual([2, expect.stringMatching(message)]);
});
