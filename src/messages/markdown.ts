// Markdown that shows names as they are: text that cannot become markup, and GitHub's tables.

/** Text on one line, in which nothing is markup. */
export function markdownText(text: string): string {
  return text
    .replace(/[\\`*_[\]<>|~#]/g, "\\$&")
    .replaceAll("&", "&amp;")
    .replace(/\s+/g, " ")
    .trim()
    .replace(/^([-+])(?=\s)/, "\\$1")
    .replace(/^(\d+)([.)])(?=\s)/, "$1\\$2");
}

export interface MarkdownColumn {
  readonly title: string;
  readonly numeric: boolean;
}

export function markdownTable(columns: readonly MarkdownColumn[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [
    line(columns.map(({ title }) => markdownText(title))),
    line(columns.map(({ numeric }) => (numeric ? "---:" : "---"))),
    ...rows.map((row) => line(row.map(markdownText))),
  ].join("\n");
}
