// Names that a shell would obey, in scripts and in YAML: run by a shell, a job's command is given the words as they are.

import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, expect } from "@jest/globals";
import { parseAllDocuments } from "yaml";
import { cwd } from "../cli/experiment";
import { flexbert } from "../cli/flexbert";
import { onWindows, unless } from "../skips";
import { temporaryFolder } from "../tiny";

const scripts = temporaryFolder();
const file = "o'hara $(touch pwned) `touch pwned`; touch pwned & # é.yaml";
const out = "it's 100 % $HOME\\";

beforeAll(() => symlinkSync("glue-data", path.join(cwd, "the 'data'")));

/** Writes the experiment under a name, with a job's command that prints its words. */
function write(name: string, more = "", top = ""): void {
  const small = readFileSync(path.join(cwd, "small.yaml"), "utf8");
  const command = "command: printf '%s\\n'";
  writeFileSync(
    path.join(cwd, name),
    `${small}jobs: { pack: 1, ${top} slurm: { ${command} ${more} }, kubernetes: { ${command}, image: i, volume: v } }\n`,
  );
}

const dry = (name: string, system: string, ...more: string[]) =>
  flexbert(["jobs", "submit", name, "--on", system, "--dry-run", ...more], { cwd });

/** The words of a command, of which the last names the trial. */
const words = (name: string, folder: string, plan: string, last: string[]) => [
  ...["run", name, "--out", folder, "--plan", plan, "--glue-data", "the 'data'", "--threads", "2", ...last],
];

unless(onWindows).test("a script of Slurm's", () => {
  write(file);
  const folder = out.slice(0, -1);
  const made = dry(file, "slurm", "--out", folder, "--glue-data", "the 'data'", "--json");
  expect([made.status, made.stderr.match(/^flexbert: .*/m)]).toEqual([0, null]);
  const { files, plan } = JSON.parse(made.stdout);
  const [{ content }] = files;
  expect(content).toContain(`--output="${cwd}/it's 100 %% $HOME/jobs/0001/logs/finetune-%a.log"\n`);
  const script = path.join(scripts, "script.sh");
  writeFileSync(script, content);
  const env = { ...process.env, SLURM_ARRAY_TASK_ID: "2" };
  const { status, stdout } = spawnSync("bash", [script], { cwd, env, encoding: "utf8" });
  expect([status, stdout.trim().split("\n")]).toEqual([0, words(file, folder, plan, ["--trial", "2"])]);
  expect(readFileSync(path.join(cwd, folder, "jobs/0001/exits/finetune-2"), "utf8")).toBe("0\n");
  expect(readdirSync(cwd)).not.toContain("pwned");
});

unless(onWindows).test("a node's own variables in a script of Slurm's, with blanks in them", () => {
  write("near.yaml", "", "node_cache: $TMPDIR/of-$WHO,");
  const { files, plan } = JSON.parse(dry("near.yaml", "slurm", "--json").stdout);
  const env = { ...process.env, TMPDIR: "/scratch/a b $(id)", WHO: "me" };
  const printed = files.map(({ name, content }: { name: string; content: string }) => {
    if (name === "submit.sh") return [];
    const script = path.join(scripts, name);
    writeFileSync(script, content);
    const { stdout } = spawnSync("bash", [script], {
      cwd,
      env: { ...env, SLURM_ARRAY_TASK_ID: "0" },
      encoding: "utf8",
    });
    return stdout.trim().split("\n").slice(-4);
  });
  const near = (trial: string) => ["--node-cache", "/scratch/a b $(id)/of-me", "--trial", trial];
  expect(printed).toEqual([near("0"), near("8"), ["--threads", "2", "--only", "merge"], []]);
  expect(plan).toMatch(/^[0-9a-f]{8}$/);
});

unless(onWindows).test("a container's command on Kubernetes", () => {
  write(file);
  const { stdout } = dry(file, "kubernetes", "--out", out, "--glue-data", path.join(cwd, "the 'data'"));
  const documents = parseAllDocuments(stdout);
  expect(documents.flatMap(({ errors }) => errors)).toEqual([]);
  const objects = documents.map((document) => document.toJS());
  const merge = objects.find(({ metadata }) => metadata.name.endsWith("-merge"));
  const [container] = merge.spec.template.spec.containers;
  expect(container.volumeMounts[1].mountPath).toBe(`/project/${file}`);
  const [program, ...args] = container.command.map((word: string) => word.replace("exec printf", "printf"));
  const shown = spawnSync(program, args, { cwd, encoding: "utf8" });
  const plan = /\(plan ([0-9a-f]{8})\)/.exec(stdout)?.[1] as string;
  expect(shown.stdout.trim().split("\n")).toEqual(words(file, out, plan, ["--only", "merge"]));
  expect(readdirSync(cwd)).not.toContain("pwned");
});

unless(onWindows).test(
  "what a job system cannot quote is refused, and nothing of it becomes a line of a script",
  () => {
    const line = "a\n#SBATCH --account=theirs\ntouch pwned\n.yaml";
    for (const name of [line, 'a "quoted".yaml', "back\\slash.yaml"]) {
      write(name);
      const { status, stdout, stderr } = dry(name, "slurm");
      expect([status, stdout, stderr]).toEqual([2, "", expect.stringMatching(/^flexbert: .*Rename it$/m)]);
    }
    for (const name of [line, "a:b.yaml"]) {
      write(name);
      const { status, stdout, stderr } = dry(name, "kubernetes");
      expect([status, stdout, stderr]).toEqual([2, "", expect.stringMatching(/^flexbert: .*Rename it$/m)]);
    }
    write("options.yaml", ', options: ["--exclusive\\ntouch pwned"]');
    const options = dry("options.yaml", "slurm");
    expect([options.status, options.stderr]).toEqual([
      2,
      expect.stringMatching(/jobs\.slurm\.options: takes options that/),
    ]);
  },
);

unless(onWindows).test("paths outside of the project are refused for Kubernetes, whatever they are for", () => {
  write("plain.yaml");
  const { status, stderr } = dry("plain.yaml", "kubernetes", "--checkpoints", "../elsewhere");
  expect([status, stderr]).toEqual([
    2,
    expect.stringMatching(/elsewhere: --checkpoints must lie in the working folder/),
  ]);
});
