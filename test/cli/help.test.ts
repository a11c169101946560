// Help of every command: it has an example, and printing it loads neither an engine nor what the work itself needs.

import { spawnSync } from "node:child_process";
import path from "node:path";
import { describe, expect, test } from "@jest/globals";
import { type CommandEntry, commands, isGroup } from "../../src/cli/catalogue";
import type { Definitions } from "../../src/options/option";
import { engineNames } from "../../src/settings/engine";
import { temporaryFolder } from "../tiny";
import { flexbert } from "./flexbert";

const cwd = temporaryFolder();
const dist = path.join(__dirname, "../../dist");
const main = path.join(dist, "cli/main.js");
const heavy = /node_modules\/(@tensorflow|zod|onnxruntime|papaparse)|dist\/engines\/(open|wasm|tensorflow|eager)/;

/** Every command that does something, by its words: "engine install". */
const entries = Object.entries(commands).flatMap(([name, entry]): [string, CommandEntry][] =>
  isGroup(entry) ? Object.entries(entry.commands).map(([action, own]) => [`${name} ${action}`, own]) : [[name, entry]],
);

/** Runs the command line in a child process that ends by printing the modules that it loaded. */
function loadedModules(args: readonly string[]): string[] {
  const script = `
    process.on("exit", () => console.error(JSON.stringify(Object.keys(require.cache))));
    require(${JSON.stringify(main)}).main(["node", "flexbert", ...${JSON.stringify(args)}]);`;
  const { status, stderr } = spawnSync(process.execPath, ["-e", script], { cwd, encoding: "utf8" });
  expect(status).toBe(0);
  return JSON.parse(stderr);
}

describe("flexbert --help", () => {
  test("lists every command with its summary, and loads none of them", () => {
    const { status, stdout } = flexbert(["--help"], { cwd });
    expect(status).toBe(0);
    for (const [name, { summary }] of Object.entries(commands)) {
      expect(stdout).toMatch(new RegExp(`^ {2}${name} +${summary}$`, "m"));
    }
    const modules = loadedModules(["--help"]).map((file) => path.relative(dist, file));
    expect(modules).toContain(path.join("cli", "catalogue.js"));
    // Recipes are there, which are commands' summaries and options; what they do is not.
    const work = /^(cli\/commands|api|data|engines|training|recipes\/(sweep|losses|trial|halving))\b/;
    expect(modules.filter((file) => work.test(file.replaceAll(path.sep, "/")))).toEqual([]);
    expect(modules.filter((file) => heavy.test(file))).toEqual([]);
  });

  const groups = Object.keys(commands).filter((name) => !entries.some(([own]) => own === name));

  test.each([...groups, ...entries.map(([name]) => name)])(
    "flexbert %s --help has an example and loads no engine",
    (name) => {
      const words = name.split(" ");
      const { status, stdout } = flexbert([...words, "--help"], { cwd });
      expect(status).toBe(0);
      expect(stdout).toMatch(new RegExp(`^Usage: flexbert ${name} `));
      // What a group does without a command may be shown without one.
      const [group, action] = words as [string, string?];
      const entry = commands[group] as (typeof commands)[string];
      const shown = isGroup(entry) && action !== undefined && action === entry.fallback ? group : name;
      expect(stdout).toMatch(new RegExp(`\nExamples:\n(  flexbert ${shown}( .*)?\n)+$`));
      expect(loadedModules([...words, "--help"]).filter((file) => heavy.test(file))).toEqual([]);
    },
  );

  test.each(["help engine install", "engine help install", "help data download"])("flexbert %s", (line) => {
    const [name, action] = line.split(" ").filter((word) => word !== "help") as [string, string];
    const { status, stdout } = flexbert(line.split(" "), { cwd });
    expect([status, stdout]).toEqual([0, flexbert([name, action, "--help"], { cwd }).stdout]);
    expect(stdout).toMatch(/--dry-run/);
  });

  test("a group lists its commands with their summaries", () => {
    for (const [name, entry] of Object.entries(commands)) {
      if (!isGroup(entry)) continue;
      const { stdout } = flexbert([name, "--help"], { cwd });
      for (const [action, { summary }] of Object.entries(entry.commands)) {
        expect(stdout.replace(/\n {3,}/g, " ")).toMatch(new RegExp(`^ {2}${action}( .*?)? +${summary}$`, "m"));
      }
    }
  });

  test("--engine names every engine wherever it is an option", async () => {
    const named: string[] = [];
    for (const [name, { load }] of entries) {
      const engine = (await load()).options["engine"];
      if (engine === undefined) continue;
      named.push(name);
      for (const known of engineNames) {
        expect(engine.help).toContain(known);
        expect(() => engine.read(known)).not.toThrow();
      }
    }
    expect(named).toEqual(expect.arrayContaining(["finetune", "run", "predict", "bench"]));
  });

  test("--model and --merged are one option, which every command with a model's folder takes, as -m too", async () => {
    const named: string[] = [];
    for (const [name, { load }] of entries) {
      const options: Definitions = (await load()).options;
      const folders = Object.values(options).filter(({ flag }) => /^--(model|merged)$/.test(flag));
      if (folders.length === 0) continue;
      named.push(name);
      expect(folders.map(({ flag, alias, short }) => [[flag, alias].sort(), short])).toEqual([
        [["--merged", "--model"], "-m"],
      ]);
    }
    const shown = ["eval", "export", "inspect", "pack", "predict", "report", "serve", "submit"];
    const changed = ["add", "diff", "gc", "history", "quantize", "remove", "rollback", "tag", "update"];
    expect(named.sort()).toEqual([...shown, ...changed].sort());
  });

  test("without a command, help goes to stderr and the exit code is 2", () => {
    const { status, stdout, stderr } = flexbert([], { cwd });
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(/^Usage: flexbert/);
    expect(stderr).not.toMatch(/outputHelp/);
  });

  test("help NAME, and --version", () => {
    expect(flexbert(["help", "merge"], { cwd }).stdout).toMatch(/^Usage: flexbert merge/);
    expect(flexbert(["--version"], { cwd }).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});
