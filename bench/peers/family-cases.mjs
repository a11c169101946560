// config.json of each family's published base model, as sizes for random weights: without dropout, and with one vocabulary
// for all, which changes no time.

const shared = { vocab_size: 30522, max_position_embeddings: 514, initializer_range: 0.02 };
const sizes = { hidden_size: 768, num_hidden_layers: 12, num_attention_heads: 12, intermediate_size: 3072 };
const still = { hidden_dropout_prob: 0, attention_probs_dropout_prob: 0, classifier_dropout: 0 };
const bertLike = { ...shared, ...sizes, ...still, hidden_act: "gelu", layer_norm_eps: 1e-12 };

export const familyConfigs = {
  bert: { ...bertLike, type_vocab_size: 2, pad_token_id: 0 },
  roberta: { ...bertLike, type_vocab_size: 1, pad_token_id: 1, layer_norm_eps: 1e-5 },
  distilbert: {
    ...shared,
    ...{ dim: 768, n_layers: 6, n_heads: 12, hidden_dim: 3072, activation: "gelu", pad_token_id: 0 },
    ...{ dropout: 0, attention_dropout: 0, seq_classif_dropout: 0 },
  },
  mpnet: { ...bertLike, pad_token_id: 1, layer_norm_eps: 1e-5, relative_attention_num_buckets: 32 },
  "xlm-roberta": { ...bertLike, type_vocab_size: 1, pad_token_id: 1, layer_norm_eps: 1e-5 },
  electra: {
    ...{ ...bertLike, type_vocab_size: 2, pad_token_id: 0, embedding_size: 768 },
    ...{ summary_type: "first", summary_use_proj: true, summary_activation: "gelu", summary_last_dropout: 0 },
  },
  mobilebert: {
    ...{ ...shared, ...still, hidden_act: "relu", layer_norm_eps: 1e-12, type_vocab_size: 2, pad_token_id: 0 },
    ...{ hidden_size: 512, num_hidden_layers: 24, num_attention_heads: 4, intermediate_size: 512, embedding_size: 128 },
    ...{ true_hidden_size: 128, intra_bottleneck_size: 128, use_bottleneck: true, use_bottleneck_attention: false },
    ...{ key_query_shared_bottleneck: true, num_feedforward_networks: 4, normalization_type: "no_norm" },
    ...{ trigram_input: true, classifier_activation: true },
  },
  modernbert: {
    ...{ ...shared, hidden_size: 768, num_hidden_layers: 22, num_attention_heads: 12, intermediate_size: 1152 },
    ...{ hidden_activation: "gelu", norm_eps: 1e-5, norm_bias: false, attention_bias: false, mlp_bias: false },
    ...{ global_attn_every_n_layers: 3, local_attention: 128, global_rope_theta: 160000, local_rope_theta: 10000 },
    ...{ attention_dropout: 0, embedding_dropout: 0, mlp_dropout: 0, classifier_dropout: 0, classifier_pooling: "cls" },
    ...{ classifier_activation: "gelu", classifier_bias: false, decoder_bias: true, pad_token_id: 0 },
    ...{ bos_token_id: 1, cls_token_id: 1, eos_token_id: 2, sep_token_id: 2 },
  },
};

/** Names of a family's own for the number of layers. */
const layerKeys = { distilbert: "n_layers" };

/** config.json of a family, with so many layers (default its own). */
export function configOf(family, layers) {
  const config = { model_type: family, ...familyConfigs[family] };
  return layers === undefined ? config : { ...config, [layerKeys[family] ?? "num_hidden_layers"]: layers };
}
