// Every training method. Whoever loops over them is given the record, so that one more is a file and a line here.

import { distill } from "./distill";
import { finetune } from "./finetune";
import type { Recipes } from "./recipe";

export const recipes = { finetune, distill } satisfies Recipes;
