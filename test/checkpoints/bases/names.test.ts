import { expect, test } from "@jest/globals";
import { nameFromHuggingFace, nameFromTensorFlow } from "../../../src/checkpoints/bases/names";
import { isSurplusLayer, parameterShapes } from "../../../src/checkpoints/bases/parameter-shapes";
import { bert } from "../../../src/model/families/bert";
import { tinyConfig } from "../tiny-base";

const layer = "bert.encoder.layer.11";

test.each([
  ["bert.embeddings.word_embeddings.weight", "bert.embeddings.word_embeddings.weight"],
  ["embeddings.LayerNorm.gamma", "bert.embeddings.LayerNorm.weight"],
  ["bert.embeddings.LayerNorm.beta", "bert.embeddings.LayerNorm.bias"],
  ["encoder.layer.11.attention.output.LayerNorm.weight", `${layer}.attention.output.LayerNorm.weight`],
  ["encoder.layer.11.attention.self.query.bias", `${layer}.attention.self.query.bias`],
  ["pooler.dense.weight", "bert.pooler.dense.weight"],
  ["classifier.weight", "classifier.weight"],
])("Hugging Face's %s is %s", (theirs, ours) => {
  expect(nameFromHuggingFace(theirs, bert.names)).toBe(ours);
});

test.each([
  ["bert/embeddings/word_embeddings", "bert.embeddings.word_embeddings.weight", false],
  ["bert/embeddings/token_type_embeddings", "bert.embeddings.token_type_embeddings.weight", false],
  ["bert/embeddings/LayerNorm/gamma", "bert.embeddings.LayerNorm.weight", false],
  ["bert/encoder/layer_11/attention/self/query/kernel", `${layer}.attention.self.query.weight`, true],
  ["bert/encoder/layer_11/attention/output/LayerNorm/beta", `${layer}.attention.output.LayerNorm.bias`, false],
  ["bert/encoder/layer_11/output/dense/bias", `${layer}.output.dense.bias`, false],
  ["bert/pooler/dense/kernel", "bert.pooler.dense.weight", true],
  ["output_weights", "classifier.weight", false],
  ["output_bias", "classifier.bias", false],
])("TensorFlow's %s is %s", (theirs, name, transposed) => {
  expect(nameFromTensorFlow(theirs)).toEqual({ name, transposed });
});

test("what is no parameter of BERT gets no parameter's name", () => {
  const shapes = parameterShapes(tinyConfig);
  const ours = [
    ...["embeddings.position_ids", "bert.embeddings.position_ids", "cls.predictions.bias"].map((name) =>
      nameFromHuggingFace(name, bert.names),
    ),
    ...[
      "cls/predictions/transform/dense/kernel",
      "cls/seq_relationship/output_weights",
      "bert/encoder/layer_0/output/dense/kernel/adam_m",
      "bert/embeddings/word_embeddings/adam_v",
      "global_step",
    ].map((variable) => nameFromTensorFlow(variable).name),
  ];
  expect(ours.filter((name) => shapes.has(name))).toEqual([]);
});

test("layers that the config does not have are told apart", () => {
  expect(isSurplusLayer("bert.encoder.layer.2.output.dense.bias", tinyConfig)).toBe(true);
  expect(isSurplusLayer("bert.encoder.layer.1.output.dense.bias", tinyConfig)).toBe(false);
  expect(isSurplusLayer("bert.pooler.dense.bias", tinyConfig)).toBe(false);
});
