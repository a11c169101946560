// The kinds of tasks that there are. A new one is a file beside these and a line here; functions that read names of kinds
// from files take such a record, so that a kind of a caller's own is `{ ...kinds, mine }` (CONTRIBUTING.md).

import { classification } from "./kinds/classification";
import type { Kinds } from "./kinds/kind";
import { multilabel } from "./kinds/multilabel";
import { regression } from "./kinds/regression";
import { tagging } from "./kinds/tagging";

export const kinds = { classification, regression, multilabel, tagging } satisfies Kinds;
