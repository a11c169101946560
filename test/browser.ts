// Pages as a user sees them: a server of files, and the machine's chromium before it. playwright-core drives it and brings
// no browser of its own.

import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { type BrowserContextOptions, chromium, type Page } from "playwright-core";

const programs = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/** FLEXBERT_CHROMIUM, else the first one on PATH. */
function findBrowser(): string | undefined {
  const named = process.env["FLEXBERT_CHROMIUM"];
  if (named) return named;
  const folders = (process.env["PATH"] ?? "").split(path.delimiter);
  return programs.flatMap((name) => folders.map((folder) => path.join(folder, name))).find((file) => existsSync(file));
}

const browser = findBrowser();

/** Why no page can be looked at; null where one can. */
export const browserAbsence =
  browser === undefined ? "no chromium is on PATH. Install one, or name it in FLEXBERT_CHROMIUM" : null;

const types: Readonly<Record<string, string>> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
  ".json": "application/json",
};

/** Opens `url` of the folder's files and hands over the page. What a page logs as an error is thrown in the end. */
export async function withPage(folder: string, url: string, look: (page: Page) => Promise<void>): Promise<void> {
  const server = createServer(async (request, response) => {
    const file = path.join(folder, new URL(request.url ?? "/", "http://localhost").pathname);
    const body = await readFile(file).catch(() => null);
    response.writeHead(body ? 200 : 404, { "content-type": types[path.extname(file)] ?? "application/octet-stream" });
    response.end(body ?? "");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  try {
    await withPageAt(`http://127.0.0.1:${port}/${url}`, look);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

/** The same of a server that runs. @param options how the page is seen: its size, colours, motion */
export async function withPageAt(
  url: string,
  look: (page: Page) => Promise<void>,
  options: BrowserContextOptions = {},
): Promise<void> {
  const opened = await chromium.launch({
    ...(browser === undefined ? {} : { executablePath: browser }),
    args: ["--no-sandbox"],
    timeout: 0,
  });
  try {
    const page = await opened.newPage(options);
    page.setDefaultTimeout(0); // jest's own limit ends a hang: a busy machine takes ten times as long
    const errors: string[] = [];
    page.on("pageerror", (error) => errors.push(error.message));
    await page.goto(url);
    await look(page);
    if (errors.length > 0) throw new Error(`the page threw: ${errors.join("; ")}`);
  } finally {
    await opened.close();
  }
}
