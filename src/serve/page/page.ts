// The page at /: what the server hands out for it, and under which policy. Everything it needs is among these files; its
// script is compiled from browser/ into modules that browsers load as they are, the client among them.

import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { pageHtml } from "./html";
import { pageStyle } from "./style";

export interface PageFile {
  /** Of the address: "/". */
  readonly path: string;
  readonly type: string;
  readonly body: string | Uint8Array;
}

/** Of the page and each of its files: no other source of anything, no markup from text, no frame around it. */
export const pageHeaders: Readonly<Record<string, string>> = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; " +
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cache-control": "no-cache",
};

/** The compiled modules, from src/ (in tests) as from dist/. */
const modules = path.resolve(__dirname, "../../../dist/browser");
const folders = ["client", "serve/page/browser"];

const text = (type: string) => `${type}; charset=utf-8`;

/** Throws where dist/browser is not built. */
export function pageFiles(): PageFile[] {
  const scripts = folders.flatMap((folder) =>
    readdirSync(path.join(modules, folder))
      .filter((name) => name.endsWith(".js"))
      .map((name) => ({
        path: `/page/${folder}/${name}`,
        type: text("text/javascript"),
        body: readFileSync(path.join(modules, folder, name)),
      })),
  );
  return [
    { path: "/", type: text("text/html"), body: pageHtml },
    { path: "/page/style.css", type: text("text/css"), body: pageStyle },
    { path: "/page/icon.svg", type: "image/svg+xml", body: icon },
    ...scripts,
  ];
}

/** A trunk and two branches. */
const icon = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">
<path d="M9 3v26M9 12h9M9 22h9" fill="none" stroke="#5b84b1" stroke-width="4" stroke-linecap="round"/>
<circle cx="23" cy="12" r="4.5" fill="#c07a35"/><circle cx="23" cy="22" r="4.5" fill="#c07a35"/>
</svg>
`;
