// The report as one HTML page: no script, nothing fetched (its own policy forbids it), charts as SVG and data as CSV
// inside of it.

import { parseJson } from "../files/json";
import { escapeXml } from "../messages/markup";
import { type Drawing, inlineSvg } from "./charts/draw";
import { type Csv, csvText } from "./csv";
import { type Cell, type Mark, markSigns, type ReportChart, type ReportDocument, type ReportTable } from "./document";
import { styleSheet } from "./style";

/** Drawings by the panel's name. */
export type Drawings = ReadonlyMap<string, Drawing>;

export interface PageFacts {
  readonly version: string;
  /** Files that were written beside the page, for the report that replaces this one. */
  readonly files: readonly string[];
}

const GENERATOR = '<meta name="generator" content="flexbert';
const FILES = "flexbert-files";

const text = escapeXml;

export function htmlPage(report: ReportDocument, drawings: Drawings, { version, files }: PageFacts): string {
  const { title, summary, warnings, sections } = report;
  const contents = sections.map(({ id, title: name }) => `<li><a href="#${text(id)}">${text(name)}</a></li>`).join("");
  const parts = sections.map(({ id, title: name, paragraphs, blocks }) => {
    const body = blocks.map((block) => (block.kind === "table" ? tableHtml(block) : chartHtml(block, drawings)));
    return [
      `<section aria-labelledby="${text(id)}">`,
      `<h2 id="${text(id)}">${text(name)}</h2>`,
      ...paragraphs.map((paragraph) => `<p>${text(paragraph)}</p>`),
      ...body,
      "</section>",
    ].join("\n");
  });
  return `${[
    "<!doctype html>",
    '<html lang="en">',
    "<head>",
    '<meta charset="utf-8">',
    `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">`,
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    '<meta name="color-scheme" content="light dark">',
    `${GENERATOR} ${text(version)}">`,
    `<meta name="${FILES}" content="${text(JSON.stringify(files))}">`,
    `<title>${text(title)}</title>`,
    `<style>${styleSheet}</style>`,
    "</head>",
    "<body>",
    `<header><h1>${text(title)}</h1>`,
    `<p class="lead">${text(summary)}</p></header>`,
    `<nav aria-label="Contents"><ul>${contents}</ul></nav>`,
    "<main>",
    ...warnings.map((warning) => `<p class="warning" role="note">${text(warning)}</p>`),
    ...parts,
    "</main>",
    `<footer><p>Written by flexbert ${text(version)} from the runs' own records. Scores are in points (fractions x 100); in the CSV they are fractions.</p></footer>`,
    "</body>",
    "</html>",
  ].join("\n")}\n`;
}

/** The files that an earlier report wrote beside its page, or null where the page is not flexbert's. */
export function filesOfPage(html: string): string[] | null {
  if (!html.includes(GENERATOR)) return null;
  const content = new RegExp(`<meta name="${FILES}" content="([^"]*)">`).exec(html)?.[1];
  try {
    const files: unknown = parseJson((content ?? "[]").replaceAll("&quot;", '"').replaceAll("&amp;", "&"));
    return Array.isArray(files) ? files.filter((file) => typeof file === "string") : [];
  } catch {
    return []; // edited by hand: nothing is known of its files
  }
}

function tableHtml({ id, caption, columns, rows, notes, csv }: ReportTable): string {
  const numeric = (index: number) => (columns[index]?.numeric ? "numeric" : "");
  const head = columns.map(({ title }, i) => `<th scope="col"${classes([numeric(i)])}>${text(title) || "&nbsp;"}</th>`);
  const body = rows.map(([first, ...cells]) => {
    const own = first ? `<th scope="row">${cellHtml(first)}</th>` : "";
    const others = cells.map((cell, i) => {
      const chosen = cell.mark === "chosen" ? "chosen" : "";
      return `<td${classes([numeric(i + 1), chosen])}>${cellHtml(cell)}</td>`;
    });
    return `<tr>${own}${others.join("")}</tr>`;
  });
  return [
    `<div class="scroll" role="region" tabindex="0" aria-labelledby="${text(id)}-caption">`,
    `<table id="${text(id)}">`,
    `<caption id="${text(id)}-caption"><span>${text(caption)}</span></caption>`,
    `<thead><tr>${head.join("")}</tr></thead>`,
    `<tbody>${body.join("\n")}</tbody>`,
    "</table>",
    "</div>",
    notesHtml(notes),
    csv ? dataLink(csv, "this table") : "",
  ].join("\n");
}

const classes = (names: readonly string[]) => {
  const given = names.filter((name) => name !== "");
  return given.length > 0 ? ` class="${given.join(" ")}"` : "";
};

const markMeanings: Readonly<Record<Mark, string>> = {
  chosen: "chosen",
  noise: "inside the noise",
  unknown: "noise unknown",
};

function cellHtml({ text: content, detail, mark }: Cell): string {
  const sign = mark
    ? ` <span class="mark" role="img" aria-label="${markMeanings[mark]}" title="${markMeanings[mark]}">${markSigns[mark]}</span>`
    : "";
  return `${text(content)}${sign}${detail ? ` <span class="detail">${text(detail)}</span>` : ""}`;
}

function chartHtml({ id, caption, panels, notes, csv }: ReportChart, drawings: Drawings): string {
  const drawn = panels.map(({ name, alt }) => {
    const drawing = drawings.get(name);
    if (!drawing) throw new Error(`the chart ${name} was not drawn`);
    return inlineSvg(drawing, alt);
  });
  return [
    `<figure id="${text(id)}">`,
    `<div class="panels${panels.length === 1 ? " single" : ""}">`,
    ...drawn,
    "</div>",
    `<figcaption>${text(caption)}</figcaption>`,
    "</figure>",
    notesHtml(notes),
    dataLink(csv, "this chart"),
  ].join("\n");
}

const notesHtml = (notes: readonly string[]) =>
  notes.length > 0 ? `<ul class="notes">${notes.map((note) => `<li>${text(note)}</li>`).join("")}</ul>` : "";

function dataLink(csv: Csv, of: string): string {
  const encoded = Buffer.from(csvText(csv)).toString("base64");
  const href = `data:text/csv;charset=utf-8;base64,${encoded}`;
  return `<p class="data"><a download="${text(csv.file)}" href="${href}">Data of ${of}: ${text(csv.file)}</a></p>`;
}
