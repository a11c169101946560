// flexbert tag: a name for a version of a merged folder.

import { tag, tagOptions } from "../../api/merge/history";
import { settingsOf } from "../../options/settings";
import { defineCommand } from "../command";

export const tagCommand = defineCommand({
  description:
    "Gives a version a name, by which --version, rollback and diff find it and under which gc keeps it. A name that another " +
    "version has moves to this one.",
  arguments: [
    { name: "<name>", help: "the tag" },
    { name: "[version]", help: "a version's hash, its beginning, or a tag (default the current one)" },
  ],
  options: tagOptions,
  examples: ["tag prod --merged merged/", "tag before-spring 1f3a9c02 --merged merged/", "tag prod --delete"],
  async run(values, terminal, [name = "", version]) {
    const tagged = await tag({ ...settingsOf(tagOptions, values), tag: name, version }, terminal);
    if (terminal.json) return terminal.printJson(tagged);
    const { before } = tagged;
    if (tagged.version === null) terminal.print(`${name} is no tag any more; it was ${before}`);
    else
      terminal.print(`${name} is ${tagged.version}${before && before !== tagged.version ? `; it was ${before}` : ""}`);
  },
});
