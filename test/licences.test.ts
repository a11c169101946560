// THIRD-PARTY-LICENSES.md names every package that npm installs with flexbert, with its version, under its licence.

import { readFileSync } from "node:fs";
import path from "node:path";

const read = (name: string) => readFileSync(path.join(__dirname, "..", name), "utf8");

interface Locked {
  readonly version: string;
  readonly license?: string;
  readonly dev?: boolean;
}

function locked(): string[] {
  const { packages }: { packages: Record<string, Locked> } = JSON.parse(read("package-lock.json"));
  const users = Object.entries(packages).filter(([folder, { dev }]) => folder !== "" && !dev);
  return users.map(([folder, { version, license }]) => {
    const licence = license?.replace(/[()]/g, "").replace("apache", "Apache");
    return `${licence}: ${folder.replace(/^.*node_modules\//, "")} ${version}`;
  });
}

function named(): string[] {
  const installed = /\n## Installed with it\n(.*)\n## Texts\n/s.exec(read("THIRD-PARTY-LICENSES.md"))?.[1] ?? "";
  return installed.split("\n### ").flatMap((section) => {
    const licence = section.slice(0, section.indexOf("\n"));
    return [...section.matchAll(/^- (.+?): .+$/gm)].flatMap(([, names = ""]) =>
      names.split(", ").map((name) => `${licence}: ${name}`),
    );
  });
}

test("every package of the lock file that users get is named under its licence, and no other (npm run licences)", () => {
  expect(locked().length).toBeGreaterThan(100);
  expect([...new Set(named())].sort()).toEqual([...new Set(locked())].sort());
});

test("each licence has its text", () => {
  const { licences, texts } = {
    licences: named().map((line) => line.replace(/: .*/, "")),
    texts: read("THIRD-PARTY-LICENSES.md"),
  };
  const each = new Set(licences.flatMap((licence) => (licence.split(" OR ")[0] as string).split(" AND ")));
  expect([...each].filter((licence) => !texts.includes(`\n### Text of ${licence}\n`))).toEqual([]);
});
