// Adapters of Pfeiffer et al. 2021 (AdapterFusion, section 3 and appendix): of each layer one bottleneck, behind the feed-forward part. The
// paper's figure leaves open what is added where; AdapterHub fixes it (adapter-hub/adapters, SeqBnConfig: original_ln_before,
// original_ln_after, residual_before_ln, relu, init_weights "bert"): it reads the layer's output s = norm(h + m), and what leaves the
// layer is norm(up(relu(down s)) + h + m), with the same frozen norm. Left out: the fusion of several tasks' adapters, the paper's
// subject, and invertible adapters under the layers.

import { bottleneckTensors, NORMED_ADAPTER } from "../families/small-names";
import type { Adapter } from "./adapter";

const DEVIATION = 0.02;
/** AdapterHub's reduction factor, 16, of BERT's 768. */
const defaults = { adapterSize: 48 };

export const pfeiffer = {
  name: "pfeiffer",
  short: "Adapters (Pfeiffer)",
  meaning: "frozen layers with one trained bottleneck each, behind the feed-forward part",
  defaults,
  norms: false,
  tensors: ({ hiddenSize }, _, { adapterSize = defaults.adapterSize }) =>
    bottleneckTensors(NORMED_ADAPTER, hiddenSize, adapterSize, DEVIATION),
} as const satisfies Adapter;
