// Colours of page and charts, for light and dark. Charts are drawn in the light ones; a style sheet that looks for those
// very values turns them dark, so a renderer that knows no style sheets shows the light chart. Every series has a
// shape or a dash of its own as well: print in grey and colour blindness lose nothing.

interface Shade {
  readonly light: string;
  readonly dark: string;
}

export const palette = {
  paper: { light: "#ffffff", dark: "#14181d" },
  ink: { light: "#1b2026", dark: "#e7eaee" },
  faint: { light: "#57606a", dark: "#a3adb8" },
  line: { light: "#d4d9df", dark: "#39414a" },
  shade: { light: "#f3f5f7", dark: "#1d232a" },
  blue: { light: "#0a62ad", dark: "#62b0f4" },
  orange: { light: "#b4530a", dark: "#f5a04e" },
  green: { light: "#0b7a52", dark: "#43cb98" },
  purple: { light: "#8b3d94", dark: "#d690dd" },
  grey: { light: "#7a838d", dark: "#8e99a5" },
} as const satisfies Record<string, Shade>;

export type ColourName = keyof typeof palette;

/** A colour as charts draw it. */
export const colour = (name: ColourName): string => palette[name].light;

/** Series in a fixed order: the first is the teacher or the maximum, later ones what is beside it. */
export const series = ["blue", "orange", "green", "purple"] as const satisfies readonly ColourName[];
export const seriesColours = series.map((name) => colour(name));
export const seriesShapes = ["diamond", "circle", "triangle-up", "square"];
export const seriesDashes = [
  [1, 0],
  [6, 3],
  [2, 2],
  [8, 3, 2, 3],
];

/** Rules that turn a chart's light colours dark. */
export function darkChartRules(selector: string): string {
  return Object.values(palette)
    .flatMap(({ light, dark }) => [
      `${selector}[fill="${light}"]{fill:${dark}}`,
      `${selector}[stroke="${light}"]{stroke:${dark}}`,
    ])
    .join("");
}
