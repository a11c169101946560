// An MLflow tracking server over its REST API 2.0: one call, and the experiment that runs belong to.

import { usageError } from "../../errors/errors";
import { openNetwork } from "../../files/network";

/** Of a server that hangs: the end of a run waits this long for it. */
const limits = { connectMs: 5_000, answerMs: 10_000, stallMs: 10_000 };

/** The server's address as --mlflow gives it. Throws usageError (2). */
export function parseMlflowUri(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url?.protocol === "http:" || url?.protocol === "https:") return url;
  throw usageError(`--mlflow ${text}: it takes the address of a tracking server, such as http://localhost:5000`);
}

/** An answer that says no, with MLflow's own words. */
export class MlflowRefusal extends Error {
  readonly code: string;

  constructor(status: number, endpoint: string, answer: Record<string, unknown>) {
    const { error_code: code = "", message = "" } = answer;
    super([endpoint, "answers", status, code, message].filter((part) => part !== "").join(" "));
    this.code = String(code);
  }
}

export type MlflowAnswer = Record<string, unknown>;

export interface MlflowServer {
  /** Without credentials. */
  readonly address: string;
  /** Throws what the network throws, and MlflowRefusal. */
  post(endpoint: string, fields: object): Promise<MlflowAnswer>;
  /** The id of MLFLOW_EXPERIMENT_NAME, or of "flexbert"; made where there is none. */
  experimentId(): Promise<string>;
}

/** Credentials come from the address, from MLFLOW_TRACKING_USERNAME and _PASSWORD, or from MLFLOW_TRACKING_TOKEN. */
export function openMlflow(uri: URL): MlflowServer {
  const { username, password } = uri;
  const plain = new URL(uri);
  plain.username = "";
  plain.password = "";
  const address = plain.href.replace(/\/+$/, "");
  const headers = {
    ...authorization(decodeURIComponent(username), decodeURIComponent(password)),
    "content-type": "application/json",
    "user-agent": "flexbert",
  };
  let experiment: string | null = null;

  const send = async (method: "GET" | "POST", endpoint: string, fields: object): Promise<MlflowAnswer> => {
    // Calls are seconds apart: a connection that is kept would hold the process open, and saves nothing.
    const network = await openNetwork(limits);
    try {
      const query = method === "GET" ? `?${new URLSearchParams({ ...fields } as Record<string, string>)}` : "";
      const { statusCode, body } = await network.request(`${address}/api/2.0/mlflow/${endpoint}${query}`, {
        dispatcher: network.dispatcher,
        method,
        headers,
        ...(method === "POST" ? { body: JSON.stringify(fields) } : {}),
      });
      const answer = parseAnswer(await body.text());
      if (statusCode === 200 && answer !== null) return answer;
      throw new MlflowRefusal(
        statusCode,
        endpoint,
        answer ?? { message: "with no JSON, so it seems to be no MLflow server" },
      );
    } finally {
      await network.close();
    }
  };
  const findExperiment = (name: string) => send("GET", "experiments/get-by-name", { experiment_name: name });
  return {
    address,
    post: (endpoint, fields) => send("POST", endpoint, fields),
    async experimentId() {
      if (experiment !== null) return experiment;
      const name = process.env["MLFLOW_EXPERIMENT_NAME"] || "flexbert";
      const answer = await findExperiment(name).catch(async (error) => {
        if ((error as MlflowRefusal).code !== "RESOURCE_DOES_NOT_EXIST") throw error;
        // Where another process made it a moment ago, it is found now.
        return send("POST", "experiments/create", { name }).catch(() => findExperiment(name));
      });
      const { experiment_id: id } = (answer["experiment"] ?? answer) as { experiment_id?: unknown };
      if (typeof id !== "string") throw new MlflowRefusal(200, "experiments", { message: "without an experiment_id" });
      experiment = id;
      return id;
    },
  };
}

function authorization(username: string, password: string): Record<string, string> {
  const { MLFLOW_TRACKING_TOKEN, MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD } = process.env;
  const user = username || MLFLOW_TRACKING_USERNAME;
  const secret = password || (MLFLOW_TRACKING_PASSWORD ?? "");
  if (user) return { authorization: `Basic ${Buffer.from(`${user}:${secret}`).toString("base64")}` };
  return MLFLOW_TRACKING_TOKEN ? { authorization: `Bearer ${MLFLOW_TRACKING_TOKEN}` } : {};
}

function parseAnswer(text: string): MlflowAnswer | null {
  try {
    const answer: unknown = JSON.parse(text || "{}");
    return typeof answer === "object" && !Array.isArray(answer) ? (answer as MlflowAnswer | null) : null;
  } catch {
    return null; // a proxy's page, say
  }
}
