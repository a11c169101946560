// flexbert plan: the trials of an experiment in their order, with their ids and how far they are.

import { describeListed, type PlanListener, type PlanSums, passPlan, planOptions } from "../../api/experiment/plan";
import type { LeftWork } from "../../experiment/listing";
import { settingsOf } from "../../options/settings";
import type { Recipes } from "../../recipes/recipe";
import { defineCommand } from "../command";
import { experimentArgument, planTable } from "../experiment-tables";
import { listInJson, type Pieces } from "../pieces";
import type { Terminal } from "../terminal";

export function planCommand(recipes: Recipes) {
  const options = planOptions(recipes);
  return defineCommand({
    description:
      "Lists the trials of an experiment in one total order that depends on the file and the base alone: trial I is the " +
      "same in every process, whatever is trained. A student's id is known once its teacher is chosen; its place is " +
      "known from the start. flexbert run FILE --trial I or --shard I/N trains one or a share.",
    arguments: experimentArgument,
    options,
    examples: [
      "plan experiments/smoke.yaml",
      "plan experiments/glue.yaml --json",
      "plan experiments/glue.yaml --only finetune --shard 0/8",
    ],
    async run(values, terminal, [file = ""]) {
      const printed = terminal.json ? planJson(terminal) : planForPeople(terminal);
      const { left, sums } = await passPlan(file, settingsOf(options, values), terminal, printed);
      printed.end({ ...left, ...sums });
    },
  });
}

interface PrintedPlan extends PlanListener {
  end(found: LeftWork & PlanSums): void;
}

const planForPeople = (terminal: Terminal): PrintedPlan => ({ begin: () => undefined, ...planTable(null, terminal) });

function planJson(terminal: Terminal): PrintedPlan {
  let list: Pieces<unknown, object> | null = null;
  return {
    begin(head) {
      list = listInJson(head, "trials", terminal);
    },
    trial: (listed) => list?.add(describeListed(listed)),
    end: ({ openFlops, openBytes, halving }) => list?.end({ openFlops, openBytes, halving }),
  };
}
