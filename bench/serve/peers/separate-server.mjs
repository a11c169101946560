// A task's model each, as a team has them without flexbert: all layers of each in an onnxruntime session of its own, one text at a time,
// behind the same HTTP server and the same tokenizer. Says its address in a line of JSON.
//
//   node bench/serve/peers/separate-server.mjs MERGED EXPORTED THREADS       EXPORTED/TASK/model.onnx of `flexbert export onnx --task TASK`
import { createRequire } from "node:module";
import path from "node:path";
import { showUsage } from "../../usage.mjs";

const require = createRequire(import.meta.url);
const { fastify } = require("fastify");
const runtime = require("onnxruntime-node");
const { readServed } = require("../../../dist/serve/model/served.js");

showUsage(import.meta.url);

const [merged, exported, threads] = process.argv.slice(2);
const served = await readServed(merged, { weights: "float32" });
const sessions = new Map();
for (const { name } of served.tasks) {
  const file = path.join(exported, name, "model.onnx");
  sessions.set(
    name,
    await runtime.InferenceSession.create(file, { intraOpNumThreads: Number(threads), logSeverityLevel: 3 }),
  );
}
const server = fastify({ bodyLimit: 2 ** 21 });
server.post("/v1/predict", async ({ body: { text, pair = null } }) => {
  const predictions = {};
  for (const task of served.tasks.filter(({ inputs }) => (inputs === "pair") === (pair !== null))) {
    const { ids, typeIds } = served.tokenizer.encode(text, pair, task.maxLength);
    const wide = (list) => new runtime.Tensor("int64", BigInt64Array.from(list, BigInt), [1, ids.length]);
    const feeds = {
      ...{ input_ids: wide(ids), token_type_ids: wide(typeIds) },
      attention_mask: wide(new Int32Array(ids.length).fill(1)),
    };
    const logits = (await sessions.get(task.name).run(feeds))[task.name].data;
    predictions[task.name] = task.kind.predict(logits, task);
  }
  return { predictions };
});
await server.listen({ port: 0, host: "127.0.0.1" });
console.log(JSON.stringify({ url: `http://127.0.0.1:${server.server.address().port}` }));
