import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "@jest/globals";
import { ExitCode } from "../../src/errors/errors";
import { configJson, parseConfig } from "../../src/model/families/config-file";
import { ownReference } from "../reference";
import { describeWithSharedData, sharedData } from "../shared-data";

const google = {
  vocab_size: 30522,
  hidden_size: 768,
  num_hidden_layers: 12,
  num_attention_heads: 12,
  intermediate_size: 3072,
  max_position_embeddings: 512,
  type_vocab_size: 2,
  hidden_act: "gelu",
  hidden_dropout_prob: 0.1,
  attention_probs_dropout_prob: 0.1,
  initializer_range: 0.02,
};

describe("parseConfig", () => {
  test("reads Google's keys and takes the code's own values for the two that it lacks", () => {
    expect(parseConfig(google, "bert_config.json")).toEqual({
      vocabSize: 30522,
      hiddenSize: 768,
      numHiddenLayers: 12,
      numAttentionHeads: 12,
      intermediateSize: 3072,
      maxPositionEmbeddings: 512,
      typeVocabSize: 2,
      hiddenDropoutProb: 0.1,
      attentionProbsDropoutProb: 0.1,
      layerNormEps: 1e-12,
      initializerRange: 0.02,
      padTokenId: 0,
    });
  });

  test("takes a zero with a sign for zero: JSON has both, and a hash of the config one", () => {
    const { attentionProbsDropoutProb, padTokenId } = parseConfig(
      { ...google, attention_probs_dropout_prob: -0, pad_token_id: -0 },
      "config.json",
    );
    expect([attentionProbsDropoutProb, padTokenId].map((zero) => Object.is(zero, 0))).toEqual([true, true]);
  });

  test("reads Hugging Face's further keys, and ignores those that change nothing", () => {
    const config = {
      ...google,
      model_type: "bert",
      layer_norm_eps: 1e-5,
      pad_token_id: 3,
      is_decoder: false,
      use_cache: true,
    };
    expect(parseConfig(config, "config.json")).toMatchObject({ layerNormEps: 1e-5, padTokenId: 3 });
    expect(parseConfig({ ...google, pad_token_id: null }, "config.json").padTokenId).toBe(0);
  });

  test.each([
    ["num_hidden_layers", "12", 'c.json: num_hidden_layers is "12"; it must be a positive integer'],
    ["vocab_size", 0, "c.json: vocab_size is 0"],
    ["intermediate_size", 1.5, "c.json: intermediate_size is 1.5"],
    ["hidden_dropout_prob", 1, "c.json: hidden_dropout_prob is 1; it must be at least 0 and below 1"],
    ["layer_norm_eps", -1, "c.json: layer_norm_eps is -1"],
    ["num_attention_heads", 7, "c.json: hidden_size 768 is not divisible by num_attention_heads 7"],
    ["hidden_act", "quick_gelu", 'c.json: hidden_act is "quick_gelu"; supported are gelu, gelu_python, gelu_new, '],
    ["hidden_act", "toString", 'c.json: hidden_act is "toString"'],
    ["num_hidden_layers", 2 ** 30, "c.json: num_hidden_layers is 1073741824; it must be at most 1000"],
    ["architectures", ["RobertaModel"], 'its architecture is "RobertaModel"; only BERT\'s are supported'],
    ["quantization_config", { bits: 4 }, "quantization_config: its weights are quantised"],
    ["position_embedding_type", "relative_key", 'position_embedding_type is "relative_key"; only "absolute"'],
    ["model_type", "t5", 'model_type is "t5"; supported are bert, roberta, '],
    ["model_type", "toString", 'model_type is "toString"; supported are bert, '],
    ["model_type", "albert", 'model_type is "albert" (its layers share one set of weights'],
    ["model_type", "deberta-v2", 'model_type is "deberta-v2" (its attention reads contents and positions apart'],
    ["is_decoder", true, "is_decoder is true; only false is supported"],
  ])("refuses %s = %j (exit 4)", (key, value, message) => {
    const parse = () => parseConfig({ ...google, [key]: value }, "c.json");
    expect(parse).toThrow(message);
    expect(parse).toThrow(expect.objectContaining({ name: "UserError", exitCode: ExitCode.model }));
  });

  test("says all that it cannot use in one line", () => {
    const wrong = {
      model_type: "t5",
      position_embedding_type: "relative_key",
      hidden_act: "mish",
      hidden_size: -1,
    };
    expect(() => parseConfig(wrong, "c.json")).toThrow(
      /^c\.json: model_type is "t5"[^\n]*; position_embedding_type is "relative_key"[^\n]*; hidden_act is "mish"[^\n]*; hidden_size is -1; it must be a positive integer$/,
    );
  });

  // vllm-mlx#486, kalosm#338: keys that a config leaves out have the values of transformers' BertConfig.
  test("takes EncoderConfig's value for every key that is left out, but not a file with none", () => {
    expect(parseConfig({ model_type: "bert", hidden_size: 384 }, "c.json")).toEqual(
      parseConfig({ ...google, hidden_size: 384 }, "c.json"),
    );
    expect(parseConfig({ model_type: "bert" }, "c.json")).toEqual(parseConfig(google, "c.json"));
    expect(() => parseConfig({ name: "x" }, "c.json")).toThrow("c.json: it has none of BERT's keys");
  });

  test.each([
    ["gelu", undefined],
    ["gelu_python", undefined],
    [undefined, undefined],
    ["gelu_new", "gelu_new"],
    ["gelu_pytorch_tanh", "gelu_new"],
    ["gelu_fast", "gelu_new"],
    ["relu", "relu"],
    ["silu", "silu"],
    ["swish", "silu"],
  ])("reads hidden_act %s as %s, and exact GELU as no key", (hidden_act, hiddenAct) => {
    const config = parseConfig({ ...google, hidden_act }, "c.json");
    expect(config.hiddenAct).toBe(hiddenAct);
    expect("hiddenAct" in config).toBe(hiddenAct !== undefined);
    expect(parseConfig(JSON.parse(JSON.stringify(configJson(config))), "again")).toEqual(config);
  });

  test.each([[null], [[google]], ["bert"], [12]])("refuses %j, which is no object", (json) => {
    expect(() => parseConfig(json, "c.json")).toThrow("c.json is no JSON object");
  });

  test("configJson gives the same config back", () => {
    const config = parseConfig({ ...google, pad_token_id: 1, layer_norm_eps: 1e-6 }, "c.json");
    expect(parseConfig(JSON.parse(JSON.stringify(configJson(config))), "again")).toEqual(config);
  });
});

test("transformers' own writing of a config is read", () => {
  const file = path.join(ownReference, "tiny-bert/config.json");
  expect(parseConfig(JSON.parse(readFileSync(file, "utf8")), file)).toEqual({
    vocabSize: 195,
    hiddenSize: 32,
    numHiddenLayers: 3,
    numAttentionHeads: 4,
    intermediateSize: 64,
    maxPositionEmbeddings: 64,
    typeVocabSize: 2,
    hiddenDropoutProb: 0,
    attentionProbsDropoutProb: 0,
    layerNormEps: 1e-12,
    initializerRange: 0.02,
    padTokenId: 0,
  });
});

describeWithSharedData("published configs", () => {
  test("bert-base-uncased is the BERT-base of the paper", () => {
    const file = path.join(sharedData, "bert-base-uncased/bert_config.json");
    expect(parseConfig(JSON.parse(readFileSync(file, "utf8")), file)).toMatchObject({
      vocabSize: 30522,
      hiddenSize: 768,
      numHiddenLayers: 12,
    });
  });
});
