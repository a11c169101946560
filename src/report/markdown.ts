// The report as Markdown (GitHub's tables), with its charts and data as files beside it.

import { markdownTable, markdownText } from "../messages/markdown";
import { type Cell, markSigns, type ReportChart, type ReportDocument, type ReportTable } from "./document";

export const chartFile = (panel: string) => `charts/${encodeURIComponent(panel)}.svg`;
export const dataFile = (csv: string) => `data/${csv}`;

/** A file name in a link: what is encoded in the name is encoded once more. */
const link = (file: string) => file.split("/").map(encodeURIComponent).join("/");

export function markdownReport({ title, summary, warnings, sections }: ReportDocument): string {
  const parts = sections.flatMap(({ title: name, paragraphs, blocks }) => [
    `## ${markdownText(name)}`,
    ...paragraphs.map(markdownText),
    ...blocks.map((block) => (block.kind === "table" ? tableMarkdown(block) : chartMarkdown(block))),
  ]);
  return `${[
    `# ${markdownText(title)}`,
    markdownText(summary),
    ...warnings.map((warning) => `> ${markdownText(warning)}`),
    ...parts,
    "Scores are in points (fractions x 100); in the CSV files they are fractions.",
  ].join("\n\n")}\n`;
}

function tableMarkdown({ caption, columns, rows, notes, csv }: ReportTable): string {
  return [
    `*${markdownText(caption)}*`,
    markdownTable(
      columns.map(({ title, numeric = false }) => ({ title, numeric })),
      rows.map((row) => row.map(cellText)),
    ),
    ...notesMarkdown(notes),
    ...(csv ? [`[Data of this table: ${csv.file}](${link(dataFile(csv.file))})`] : []),
  ].join("\n\n");
}

/** One line: Markdown's tables have no second one that every reader shows. */
function cellText({ text, detail, mark }: Cell): string {
  const sign = mark ? ` ${markSigns[mark]}` : "";
  return `${text}${sign}${detail ? ` (${detail.replaceAll("\n", ", ")})` : ""}`;
}

function chartMarkdown({ caption, panels, notes, csv }: ReportChart): string {
  return [
    panels.map(({ name, alt }) => `![${markdownText(alt)}](${link(chartFile(name))})`).join("\n"),
    `*${markdownText(caption)}*`,
    ...notesMarkdown(notes),
    `[Data of this chart: ${csv.file}](${link(dataFile(csv.file))})`,
  ].join("\n\n");
}

const notesMarkdown = (notes: readonly string[]) =>
  notes.length > 0 ? [notes.map((note) => `- ${markdownText(note)}`).join("\n")] : [];
