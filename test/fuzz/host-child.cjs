// A process in which one command line runs after the other, as test/fuzz/host.ts asks: what starts a process 10,000 times
// would take hours. An error that is thrown outside of the command's promise ends it with a stack, as it would a user's.

const { Readable } = require("node:stream");
const { run } = require("../../dist/cli/main.js");

const settled = () => new Promise((resolve) => setImmediate(resolve));

// Who asked is gone.
process.on("disconnect", () => process.exit());

process.on("message", async ({ args, cwd, stdin, terminal }) => {
  process.chdir(cwd);
  const bytes = Buffer.from(stdin, "base64");
  Object.defineProperty(process, "stdin", {
    configurable: true,
    value: Readable.from(bytes.length > 0 ? [bytes] : []),
  });
  const written = { out: "", err: "" };
  const stream = (name) => ({
    isTTY: terminal,
    write: (text) => {
      written[name] += text;
      return true;
    },
  });
  const { user, system } = process.cpuUsage();
  const status = await run(args, { out: stream("out"), err: stream("err") }, { signal: new AbortController().signal });
  // What was started beside the command and fails late is the command's fault.
  for (let i = 0; i < 3; i++) await settled();
  const used = process.cpuUsage();
  process.send({
    status,
    stdout: written.out,
    stderr: written.err,
    seconds: (used.user + used.system - user - system) / 1e6,
    peakBytes: process.resourceUsage().maxRSS * 1024,
  });
});
