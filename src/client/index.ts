// What `import ... from "flexbert/client"` gives, in Node and in browsers.
// biome-ignore-all lint/performance/noBarrelFile: an entry point is what the rule makes an exception for

export type * from "./api.js";
export {
  type Answer,
  type CallOptions,
  type ClientOptions,
  FlexbertClient,
  type PredictionStream,
  type PredictOptions,
  type RequestFacts,
} from "./client.js";
export { type ClientCode, FlexbertError } from "./errors.js";
