// A process that changes or reads a merged folder, for history.soak.test.ts, on the built code: a killed one helps nobody. It
// prints a line of JSON for each thing that it did or saw, and "fault" with what must never be.
//
//   node history-worker.js writer|reader|holder|served|onnx|expected '{"out": ..., "runs": [{"task", "folder"}], "seed": 1, "killAt": 40}'

const { existsSync } = require("node:fs");
const fs = require("node:fs/promises");
const path = require("node:path");

const dist = path.join(__dirname, "../../dist");
const built = (file) => require(path.join(dist, file));

const [mode, json] = process.argv.slice(2);
const { out, base: baseName, runs, seed, killAt = 0 } = JSON.parse(json);
const say = (line) => new Promise((resolve) => process.stdout.write(`${JSON.stringify(line)}\n`, resolve));
const fault = async (message) => {
  await say({ fault: `${mode}: ${message}` });
  process.exit(1);
};

let stopping = false;
process.stdin.on("data", () => {
  stopping = true;
});
process.stdin.on("end", () => process.exit(0)); // whoever started it is gone
process.stdin.unref();

/** SIGKILL at the nth point: before and after each change of the file system, and in the middle of a write. */
async function killItselfAt(last) {
  let points = 0;
  const point = () => {
    points++;
    if (points === last) process.kill(process.pid, "SIGKILL");
  };
  for (const name of ["rename", "rm", "rmdir", "mkdir", "link", "copyFile", "writeFile"]) {
    const call = fs[name];
    fs[name] = async (...args) => {
      point();
      const result = await call.apply(fs, args);
      point();
      return result;
    };
  }
  const handle = await fs.open(__filename);
  const prototype = Object.getPrototypeOf(handle);
  await handle.close();
  const write = prototype.writeFile;
  prototype.writeFile = async function (content, ...rest) {
    point();
    if (points + 1 === last) await write.call(this, content.slice(0, content.length / 2), ...rest);
    point();
    return write.call(this, content, ...rest);
  };
}

async function selectionOf({ task, folder }) {
  const { glueTasks } = built("tasks/glue.js");
  const { readRecord } = built("checkpoints/runs/run-folder.js");
  return { task: glueTasks[task], run: { folder, record: await readRecord(folder) } };
}

/** Which run each task of a manifest is of. */
const tupleOf = ({ tasks }) => Object.fromEntries(tasks.map(({ name, run }) => [name, run.split(" ").at(-1)]));

/** Errors that a second writer, or the state of the folder, may cause. */
const expected =
  /is in use by process|has no task|has a task .* already|no version before|removed by gc|has no version/;

async function write() {
  const { openBase } = built("checkpoints/bases/base.js");
  const { merge, removeTasks } = built("merge/merge.js");
  const { rollBack, tagVersion } = built("merge/history/rollback.js");
  const { collectGarbage } = built("merge/history/gc.js");
  const { readVersion } = built("merge/folder/version.js");
  const { splitmix32 } = built("data/sample/sample.js");
  const base = await openBase(baseName);
  const random = splitmix32(seed, 1);
  const oneOf = (list) => list[Math.floor(random() * list.length)];
  const names = [...new Set(runs.map(({ task }) => task))];
  const onnx = { check: null };
  const merging = async (mode) => {
    const selections = [await selectionOf(oneOf(runs))];
    await merge({ out, base, selections, mode, allowUnshared: false, onnx });
  };
  const operations = {
    add: () => merging("add"),
    update: () => merging("update"),
    merge: () => merging("merge"),
    remove: () => removeTasks(out, [oneOf(names)], onnx),
    rollback: () => rollBack(out, undefined),
    tag: () => tagVersion(out, oneOf(["prod", "next"])),
    untag: () => tagVersion(out, oneOf(["prod", "next"]), null),
    gc: () => collectGarbage(out, { keep: Math.floor(random() * 3), olderThan: 0 }),
  };
  await killItselfAt(killAt);
  while (!stopping) {
    const operation = oneOf([
      "add",
      "add",
      "update",
      "update",
      "merge",
      "remove",
      "rollback",
      "tag",
      "untag",
      "gc",
      "gc",
    ]);
    try {
      await operations[operation]();
      const { id, manifest } = await readVersion(out);
      await say({ did: operation, id, tuple: tupleOf(manifest) });
    } catch (error) {
      if (error.name !== "UserError" || !(expected.test(error.message) || /has no tag/.test(error.message))) {
        await fault(`${operation}: ${error.stack}`);
      }
    }
  }
}

/** Rows with padding at their ends. */
function someRows() {
  const { int32 } = built("model/tensors.js");
  const [rows, length] = [2, 7];
  const cells = Array.from({ length: rows * length }, (_, i) => i);
  return {
    input_ids: int32(
      [rows, length],
      Int32Array.from(cells, (i) => (i * 7919) % 25),
    ),
    attention_mask: int32(
      [rows, length],
      Int32Array.from(cells, (i) => (i % length < 7 - Math.floor(i / length) ? 1 : 0)),
    ),
    token_type_ids: int32(
      [rows, length],
      Int32Array.from(cells, (i) => i % 2),
    ),
  };
}

const bits = ({ data }) => Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("hex");

async function openEngine(name) {
  const opening = built("engines/open.js");
  return (await opening.openEngine(name, { threads: 1 })).engine;
}

/** The bits of every task's logits, from the weights of a version that is open. */
async function logitsOf(engine, { manifest, readTensors }, config) {
  const { multiHeadLogits } = built("model/multi-head.js");
  const { branchAxes } = built("model/branch.js");
  const { withHeads } = built("tasks/task.js");
  if (manifest.tasks.length === 0) return {};
  const heads = await withHeads(manifest.tasks, config);
  const each = (value) => Object.fromEntries(heads.map((head) => [head.name, value(head)]));
  const entries = each((head) => (state, inputs) => ({ outputs: multiHeadLogits(state, inputs, [head], config) }));
  const axes = each(() => branchAxes);
  const program = await engine.load(await readTensors(manifest.tasks), entries, axes);
  const logits = {};
  for (const { name } of manifest.tasks) logits[name] = bits((await program.run(name, someRows()))[name]);
  program.dispose();
  return logits;
}

/** The same as predict computes it: by the stored graphs of a model's pieces. */
async function servedLogitsOf(engine, folder) {
  const { openModel } = built("predict/model.js");
  const model = await openModel(folder, engine, {});
  const rows = {
    ids: [Int32Array.of(2, 7, 9, 3), Int32Array.of(2, 11, 3)],
    typeIds: [new Int32Array(4), new Int32Array(3)],
    lengths: Int32Array.of(4, 3),
    padId: 0,
  };
  const logits = {};
  for (const { name } of model.tasks) {
    const parts = [];
    for await (const part of model.run(rows, [[name], [name]])) parts.push(...part.rows, bits(part.logits));
    logits[name] = parts.join();
  }
  model.dispose();
  return { logits, tuple: tupleOf(model) };
}

/** Opens model.onnx and gives what it names and what it computes. */
async function onnxLogitsOf(folder) {
  const { onnxFileOpener } = built("engines/onnx/model-file.js");
  const file = await onnxFileOpener({ threads: 1 })(path.join(folder, "model.onnx"));
  const outputs = await file.run(someRows());
  await file.close();
  return Object.fromEntries(Object.entries(outputs).map(([name, tensor]) => [name, bits(tensor)]));
}

const configOf = async (folder) => {
  const { readShared } = built("merge/folder/blobs.js");
  return (await readShared(folder, { base: { name: baseName } })).config;
};

/** Of each run alone: its logits' bits, from the weights and from model.onnx. */
async function expectations() {
  const { openBase } = built("checkpoints/bases/base.js");
  const { merge } = built("merge/merge.js");
  const { openVersion } = built("merge/folder/version.js");
  const base = await openBase(baseName);
  const [engine, onnx] = [await openEngine("wasm"), await openEngine("onnx")];
  const table = {};
  for (const [i, run] of runs.entries()) {
    const alone = path.join(out, String(i));
    const selections = [await selectionOf(run)];
    await merge({ out: alone, base, selections, allowUnshared: false, onnx: { check: null } });
    const version = await openVersion(alone);
    const weights = (await logitsOf(engine, version, await configOf(alone)))[run.task];
    const file = version.manifest.tasks[0].file;
    await version.close();
    const served = (await servedLogitsOf(onnx, alone)).logits[run.task];
    table[path.basename(run.folder)] = { weights, onnx: (await onnxLogitsOf(alone))[run.task], served, file };
  }
  await say({ table });
}

const { table } = JSON.parse(json);

async function requireLogits(logits, tuple, of) {
  for (const [task, run] of Object.entries(tuple)) {
    if (table[run]?.[of] !== logits[task]) await fault(`${task} of ${run} has other logits than alone (${of})`);
  }
  const names = (record) => Object.keys(record).sort().join();
  if (names(logits) !== names(tuple)) await fault(`tasks ${names(logits)}, wanted ${names(tuple)}`);
}

/** Opens the current version over and over, and computes with it. @param late waits for gc before it reads */
async function read(late) {
  const { openVersion } = built("merge/folder/version.js");
  const { readState } = built("merge/folder/pointer.js");
  const { filesOf } = built("merge/folder/manifest.js");
  const engine = await openEngine("wasm");
  const config = await configOf(out);
  while (!stopping) {
    const version = await openVersion(out);
    const changes = async () => (await readState(out)).pointer.log.length;
    const before = await changes();
    // Until gc took one of its files, or it is not likely to.
    const isWhole = () => filesOf(version.manifest).every((file) => existsSync(path.join(out, file)));
    while (late && !stopping && isWhole() && (await changes()) < before + 8) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const tuple = tupleOf(version.manifest);
    await requireLogits(await logitsOf(engine, version, config), tuple, "weights");
    await version.close();
    await say({ saw: version.id, by: mode, tuple });
  }
}

/** The same by predict's own reader. */
async function serve() {
  const engine = await openEngine("onnx");
  while (!stopping) {
    const { logits, tuple } = await servedLogitsOf(engine, out);
    await requireLogits(logits, tuple, "served");
    await say({ ran: true, by: mode, tuple });
  }
}

/** The same of model.onnx, whose blobs tell of which runs it is. One that goes while it is opened is opened again. */
async function readOnnx() {
  const { fromBinary } = require("@bufbuild/protobuf");
  const { ModelProtoSchema } = built("compile/onnx/onnx.gen.js");
  const bytes = () => fs.readFile(path.join(out, "model.onnx")).catch(() => null);
  let refused = 0;
  while (!stopping) {
    const [before, logits, after] = [await bytes(), await onnxLogitsOf(out).catch((error) => error), await bytes()];
    // Replaced meanwhile: what was opened may be either.
    if (before === null || after === null || !before.equals(after)) continue;
    if (logits instanceof Error) {
      // Or replaced twice, by the same bytes in the end.
      refused++;
      if (refused > 5) await fault(`model.onnx does not open: ${logits.message}`);
      continue;
    }
    refused = 0;
    const { graph } = fromBinary(ModelProtoSchema, before);
    const named = new Set(graph.initializer.flatMap(({ externalData }) => externalData.map(({ value }) => value)));
    const runs = Object.entries(table).filter(([, { file }]) => named.has(file));
    const tuple = Object.fromEntries(runs.map(([run, { file }]) => [path.basename(file).split("-")[0], run]));
    await requireLogits(logits, tuple, "onnx");
    await say({ ran: true, by: mode, tuple });
  }
}

const modes = {
  writer: write,
  reader: () => read(false),
  holder: () => read(true),
  served: serve,
  onnx: readOnnx,
  expected: expectations,
};
modes[mode]().then(
  () => process.exit(0),
  (error) => fault(error.stack),
);
