// The command that brings a missing tool, in the words of the system's own package manager.

import { existsSync } from "node:fs";
import path from "node:path";

export type Tool = "compiler" | "python" | "pip" | "npm";

interface Manager {
  readonly program: string;
  readonly install: string;
  readonly packages: Readonly<Record<Tool, string>>;
}

const managers: readonly Manager[] = [
  {
    program: "apt-get",
    install: "apt-get install",
    packages: { compiler: "g++", python: "python3 python3-pip", pip: "python3-pip", npm: "npm" },
  },
  {
    program: "dnf",
    install: "dnf install",
    packages: { compiler: "gcc-c++", python: "python3 python3-pip", pip: "python3-pip", npm: "npm" },
  },
  {
    program: "zypper",
    install: "zypper install",
    packages: { compiler: "gcc-c++", python: "python3 python3-pip", pip: "python3-pip", npm: "npm" },
  },
  {
    program: "pacman",
    install: "pacman -S",
    packages: { compiler: "gcc", python: "python python-pip", pip: "python-pip", npm: "npm" },
  },
];

const plain: Readonly<Record<Tool, string>> = {
  compiler: "a C++17 compiler (g++ or clang++)",
  python: "Python 3.9 or later with pip",
  pip: "pip",
  npm: "npm",
};

/** "Run: sudo apt-get install g++ python3-pip", or what to install where no known package manager is found. */
export function installCommand(tools: readonly Tool[]): string {
  const manager = managers.find(({ program }) => onPath(program) !== null);
  if (!manager) return `Install ${tools.map((tool) => plain[tool]).join(" and ")}`;
  const root = process.getuid?.() === 0 ? "" : "sudo ";
  return `Run: ${root}${manager.install} ${tools.map((tool) => manager.packages[tool]).join(" ")}`;
}

/** Where a program lies on PATH, or null. */
export function onPath(program: string): string | null {
  for (const folder of (process.env["PATH"] ?? "").split(path.delimiter)) {
    const file = path.join(folder, program);
    if (folder !== "" && existsSync(file)) return file;
  }
  return null;
}
