// The data beside a table or a chart, as CSV (RFC 4180). Scores are fractions; an undefined value is an empty field.

import { unparse } from "papaparse";

export interface Csv {
  /** "scores-by-k.csv" */
  readonly file: string;
  readonly header: readonly string[];
  readonly rows: readonly (readonly (string | number | boolean | null)[])[];
}

export function csvText({ header, rows }: Csv): string {
  return `${unparse({ fields: [...header], data: rows.map((row) => [...row]) }, { newline: "\r\n" })}\r\n`;
}
