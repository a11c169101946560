// Sizes of the train steps that are timed: hidden, intermediate, heads, layers, trained layers, batch, length.

export const stepCases = {
  "base-k3-128": [768, 3072, 12, 12, 3, 32, 128],
  "base-k9-128": [768, 3072, 12, 12, 9, 32, 128],
  "minilm-k6-64": [384, 1536, 12, 6, 6, 32, 64],
  "minilm-k6-16": [384, 1536, 12, 6, 6, 32, 16],
  "minilm-k2-64": [384, 1536, 12, 6, 2, 32, 64],
  "minilm-k2-16": [384, 1536, 12, 6, 2, 32, 16],
};
