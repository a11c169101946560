// Whether a file system has what claims and results stand on, tried by two processes: a file is created by one alone (O_EXCL and
// link), a rename shows readers the old file or the new, and what one writes gives a time that another sees move. Both speak
// through the folder itself, so the second may run on another machine (flexbert jobs probe FOLDER --role second).

import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import path from "node:path";
import { failure } from "../../errors/errors";
import { makeFolder } from "../../files/folder";
import { type Finding, type Role, runRole } from "./roles";

const ENTRY = path.join(__dirname, "second.js");

/** Where two machines meet. */
const MEETING = ".flexbert-probe";

/** Tries a folder with a second process here. Makes the folder. */
export async function probeFolder(folder: string, signal: AbortSignal): Promise<readonly Finding[]> {
  await makeFolder(folder);
  const meeting = path.join(folder, `${MEETING}-${randomUUID().slice(0, 8)}`);
  const child = spawn(process.execPath, [ENTRY, meeting], { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said = (said + text).slice(-2000);
  });
  const ended = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("close", (code) => resolve(code === 0 ? "" : `the second process ended with ${code}: ${said.trim()}`));
  });
  const own = new AbortController();
  const broken = ended.then((problem) => {
    if (problem !== "") own.abort(failure(problem));
  });
  try {
    const findings = await runRole(meeting, "first", AbortSignal.any([own.signal, signal]));
    await broken;
    return findings;
  } finally {
    child.kill("SIGKILL");
    await rm(meeting, { recursive: true, force: true });
  }
}

/** Plays one of the two roles, in a folder that another machine has too; the first has the findings. */
export async function probeWith(folder: string, role: Role, signal: AbortSignal): Promise<readonly Finding[]> {
  const meeting = path.join(folder, MEETING);
  try {
    return await runRole(meeting, role, signal);
  } finally {
    if (role === "first") await rm(meeting, { recursive: true, force: true });
  }
}
