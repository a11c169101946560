// Adapters of Houlsby et al. 2019 (section 2.1): of each layer two bottlenecks, x + up(gelu(down x)), behind attention's output product
// and behind the feed-forward one, each before what entered is added and normalised. They begin near the identity; the layers' norms are
// trained with them and the head. The paper leaves the activation open and draws weights with a deviation of 0.01: from the authors' code
// (google-research/adapter-bert, modeling.py) are the tanh form of GELU and 0.001. Left out: cutting off normal values beyond two
// deviations; the pooler is trained with the head, as everywhere in flexbert, and frozen there.

import { ATTENTION_ADAPTER, bottleneckTensors, OUTPUT_ADAPTER } from "../families/small-names";
import type { Adapter } from "./adapter";

const DEVIATION = 1e-3;
/** The size of run_classifier.py; the paper tries 8, 64 and 256 on GLUE. */
const defaults = { adapterSize: 64 };

export const houlsby = {
  name: "houlsby",
  short: "Adapters (Houlsby)",
  meaning: "frozen layers with two trained bottlenecks each and trained norms",
  defaults,
  norms: true,
  tensors: ({ hiddenSize }, _, { adapterSize = defaults.adapterSize }) =>
    [ATTENTION_ADAPTER, OUTPUT_ADAPTER].flatMap((name) => bottleneckTensors(name, hiddenSize, adapterSize, DEVIATION)),
} as const satisfies Adapter;
