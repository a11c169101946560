// Failures of the file system as one line that says what to do. Anything else stays the error that it was.

import { failure, UserError } from "../errors/errors";

const remedies: Readonly<Record<string, string>> = {
  ENOSPC: "the disk is full. Free some space and run the same command again",
  EDQUOT: "the disk quota is used up. Free some space and run the same command again",
  EACCES: "permission denied. Give yourself access or another folder",
  EPERM: "the operation is not permitted. Give yourself access or another folder",
  EROFS: "the file system is read-only. Give another folder",
  EIO: "the disk reports an input/output error. Check the disk or give another folder",
  EMFILE: "too many open files. Raise the limit (ulimit -n) and run again",
  ENAMETOOLONG: "the name is too long for this file system. Give a shorter folder",
  ENOENT: "the folder cannot be made there. Give another folder",
  EFBIG: "it is larger than anything of its kind. Give another file",
  EISDIR: "a folder stands where a file is needed. Give another name",
  ENOTDIR: "a file stands where a folder is needed. Give another folder",
};

/** A `failure` (exit code 1) naming `path` for what the machine refuses; other errors come back as they are. */
export function storageFailure(error: unknown, path: string, action = "cannot write"): unknown {
  if (error instanceof UserError) return error;
  const remedy = remedies[(error as NodeJS.ErrnoException)?.code ?? ""];
  return remedy ? failure(`${action} ${path}: ${remedy}`, error) : error;
}
