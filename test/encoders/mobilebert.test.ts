// A trigram reads the neighbours of a word. transformers takes [PAD]'s row of the table where a batch is padded, and 0 at its
// end, so that a text's logits depend on the texts beside it; here a text is what it is alone. The reference's batch has two
// padded rows, whose logits alone are PyTorch's of one row at a time (transformers 5.24).

import { expect, test } from "@jest/globals";
import { type BranchInputs, branchLogits } from "../../src/model/branch";
import type { Tensors } from "../../src/model/entry-point";
import type { HostTensor } from "../../src/model/tensors";
import { largestDifference } from "../engines/curves";
import { describeFamily, loadFamily, textInputs } from "./reference";

const alone = {
  2: [0.150598213, -0.266629577, 0.285489142],
  5: [0.108896971, -0.243600324, 0.248271748],
};

describeFamily("mobilebert", alone, (open) => {
  test("a row in a padded batch is what it is alone, though PyTorch's is not", async () => {
    const { config, tensors, expected } = await loadFamily("mobilebert");
    const place = { fork: null, layers: config.numHiddenLayers };
    const entry = (state: Tensors, inputs: Tensors) => ({
      outputs: { logits: branchLogits(state, inputs as unknown as BranchInputs, place, config) },
    });
    const engine = await open();
    const program = await engine.load(tensors, { entry });
    const { logits } = await program.run("entry", textInputs(expected));
    program.dispose();
    const wanted = expected.logits.map((own, row) => alone[row as 2] ?? own);
    expect(largestDifference((logits as HostTensor).data, wanted.flat())).toBeLessThan(1e-4);
    expect(largestDifference(wanted.flat(), expected.logits.flat())).toBeGreaterThan(1e-3);
  });
});
