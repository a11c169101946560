// The flexbert command lines that documents show: lines of shell blocks, code within text, and what comments show after
// "command:". Two things stand for what a reader fills in: `$NAME` of the shell, and a word of capitals, of which one
// letter is a number (`N`, `I/N`), and more are a text (`FILE`, `NAME`).

/** One command as the program's argv would hold it, without the leading `flexbert`. */
export interface CommandLine {
  readonly words: readonly string[];
  /** As it stands in the document. */
  readonly text: string;
  /** A command named within text, without its options and arguments. */
  readonly mentioned: boolean;
}

const begins = /^(\$ )?(flexbert|node bin\/flexbert\.js|npx flexbert)\s/;

/**
 * Of a Markdown document: blocks in a shell's language, of other blocks the lines that begin with flexbert, and code within
 * text that does.
 */
export function commandLinesOf(markdown: string): CommandLine[] {
  const found: CommandLine[] = [];
  const prose = markdown.replace(/^( *)```(\w*)\n(.*?)^\1```/gms, (_, _indent, language, block) => {
    const script = /^(sh|bash|shell|console)$/.test(language);
    const lines = block.split("\n").filter((line: string) => script || begins.test(line));
    found.push(...commandLinesOfShell(lines.join("\n")));
    return "";
  });
  for (const [, code = ""] of prose.matchAll(/`([^`]+)`/g)) {
    if (begins.test(code)) {
      found.push(...commandLinesOfShell(code.replace(/\s+/g, " ")).map((line) => ({ ...line, mentioned: true })));
    }
  }
  return found;
}

/** Of comments that begin with "# command:" and go on in lines that begin with flexbert; remarks stand in brackets. */
export function commandLinesOfComments(text: string): CommandLine[] {
  return [...text.matchAll(/^#\s+(?:command:\s*)?(flexbert .*)$/gm)].flatMap(([, line = ""]) =>
    commandLinesOfShell(line.replace(/\s{2,}\(.*\)$/, "")),
  );
}

export function commandLinesOfShell(script: string): CommandLine[] {
  return script
    .replace(/\\\n\s*/g, " ")
    .split("\n")
    .flatMap((text) =>
      commandsIn(text).flatMap((words) => {
        const own = argumentsOf(words);
        return own === null ? [] : [{ words: own.map(filledIn), text: text.trim(), mentioned: false }];
      }),
    );
}

function filledIn(word: string): string {
  if (!/^[A-Z]([/,-][A-Z])*$/.test(word)) return word.replace(/\$\{?\w+\}?/g, "1");
  let number = 0;
  return word.replace(/[A-Z]/g, () => String(++number));
}

/** The words after `flexbert`, or null for another program's command. */
function argumentsOf(words: readonly string[]): readonly string[] | null {
  const at = words.findIndex(
    (word) => !/^([A-Za-z_]\w*=|(\$|do|then|else|nice|time|timeout|npx|node|-n|\d+)$)/.test(word),
  );
  const program = words[at];
  if (program !== "flexbert" && program !== "bin/flexbert.js" && !program?.endsWith("/bin/flexbert.js")) return null;
  return words.slice(at + 1);
}

/** The commands of a line as a shell splits it: quotes, comments, `|`, `&&`, `||`, `;`, `&`; redirections are left out. */
function commandsIn(line: string): string[][] {
  const commands: string[][] = [[]];
  const token =
    /\s+|#.*$|(\d*(?:>>?|<)&?\s*[^\s;|&]*)|(&&|\|\||[;|&])|((?:"(?:\\.|[^"\\])*"|'[^']*'|\\.|[^\s"'\\;|&<>])+)|(.+)/gy;
  for (const [text, redirection, operator, word, rest] of line.matchAll(token)) {
    if (rest !== undefined) throw new Error(`no shell reads ${JSON.stringify(rest)} in: ${line}`);
    if (redirection !== undefined || text.trim() === "" || (word === undefined && text.startsWith("#"))) continue;
    if (operator !== undefined) commands.push([]);
    else if (word !== undefined) commands.at(-1)?.push(unquoted(word));
  }
  return commands.filter((words) => words.length > 0);
}

const unquoted = (word: string) =>
  word.replace(/"((?:\\.|[^"\\])*)"|'([^']*)'|\\(.)/g, (_, double, single, escaped) =>
    double !== undefined ? double.replace(/\\(["\\$`])/g, "$1") : (single ?? escaped),
  );
