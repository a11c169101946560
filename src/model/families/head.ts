// The head that a family puts under a classifier or regressor, for those who load no tfjs.

import type { EncoderConfig } from "../config";
import type { HeadParameter } from "../head-parameters";
import { familyOf } from "./families";

export const familyHead = (config: EncoderConfig, outputs: number): readonly HeadParameter[] =>
  familyOf(config).head.parameters(config, outputs);
