// JSON schemas for kubeconform out of the API's own OpenAPI file, one a kind, every unknown key refused.
//
//   node bench/cluster/kubernetes-schemas.mjs api/openapi-spec/swagger.json FOLDER
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { showUsage } from "../usage.mjs";

showUsage(import.meta.url);

const [, , file, folder] = process.argv;
const { definitions } = JSON.parse(readFileSync(file, "utf8"));
for (const definition of Object.values(definitions)) {
  if (definition.properties) definition.additionalProperties = false;
  // "may be null" is not said in OpenAPI 2, and numbers of this format are written either way.
  if (definition.format === "int-or-string") {
    delete definition.type;
    definition.oneOf = [{ type: "string" }, { type: "integer" }];
  }
}
mkdirSync(folder, { recursive: true });
let made = 0;
for (const [name, definition] of Object.entries(definitions)) {
  for (const { group, version, kind } of definition["x-kubernetes-group-version-kind"] ?? []) {
    const suffix = [group.split(".")[0], version].filter(Boolean).join("-");
    const schema = { definitions, $ref: `#/definitions/${name}` };
    if (!["Job", "ConfigMap", "PersistentVolumeClaim", "Role", "RoleBinding", "ServiceAccount"].includes(kind))
      continue;
    writeFileSync(path.join(folder, `${kind.toLowerCase()}-${suffix}.json`), JSON.stringify(schema));
    made++;
  }
}
process.stdout.write(`${made} schemas in ${folder}\n`);
