// The report as a value: sections of text, tables and charts, each with its data. HTML and Markdown are two ways to
// write it; neither decides what is said.

import type { ChartSpec } from "./charts/charts";
import type { Csv } from "./csv";

/** chosen: picked; noise: inside the noise of what it is compared with; unknown: the noise cannot be told. */
export type Mark = "chosen" | "noise" | "unknown";

export interface Cell {
  readonly text: string;
  /** A smaller second line, or several: "67.1 ± 0.8\n2 layers". */
  readonly detail?: string;
  readonly mark?: Mark;
}

export interface TableColumn {
  readonly title: string;
  /** Right-aligned. */
  readonly numeric?: boolean;
}

export interface ReportTable {
  readonly kind: "table";
  readonly id: string;
  readonly caption: string;
  readonly columns: readonly TableColumn[];
  /** The first cell of a row is its head. */
  readonly rows: readonly (readonly Cell[])[];
  /** Below the table: what marks and abbreviations mean. */
  readonly notes: readonly string[];
  readonly csv: Csv | null;
}

export interface Panel {
  /** Names the file of the panel's SVG. */
  readonly name: string;
  /** What the picture shows, for those who do not see it. */
  readonly alt: string;
  readonly spec: ChartSpec;
}

export interface ReportChart {
  readonly kind: "chart";
  readonly id: string;
  readonly caption: string;
  readonly panels: readonly Panel[];
  readonly notes: readonly string[];
  readonly csv: Csv;
}

export interface ReportSection {
  readonly id: string;
  readonly title: string;
  readonly paragraphs: readonly string[];
  readonly blocks: readonly (ReportTable | ReportChart)[];
}

export interface ReportDocument {
  readonly title: string;
  /** One line under the title. */
  readonly summary: string;
  /** What a reader must know before any number. */
  readonly warnings: readonly string[];
  readonly sections: readonly ReportSection[];
}

export const markSigns: Readonly<Record<Mark, string>> = { chosen: "★", noise: "≈", unknown: "?" };
