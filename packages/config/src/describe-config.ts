// Prints the configuration for people: the values in use, without secrets, and the example file.
import { type Environment, type Flags, withFlags } from "./load-config.ts";
import { type Variable, variables } from "./variables.ts";

const all: readonly Variable<unknown>[] = Object.values(variables);

/** NAME=value lines of the values in use; marks defaults and hides secrets. */
export function printConfig(flags: Flags = {}, environment: Environment = process.env): string {
  const values = withFlags(environment, flags);
  const mode = variables.mode.kind.parse(values[variables.mode.name] ?? "") ?? "embedded";
  const lines = all
    .filter(({ modes }) => modes === undefined || modes.includes(mode))
    .map((variable) => {
      const given = values[variable.name] ?? "";
      if (given !== "") return `${variable.name}=${shown(variable, given)}`;
      const fallback = variable.fallback?.(mode);
      return fallback === undefined ? `# ${variable.name}=` : `${variable.name}=${fallback} # default`;
    });
  return `${lines.join("\n")}\n`;
}

function shown(variable: Variable<unknown>, value: string): string {
  if (variable.isSecret !== true) return value;
  const isValid = variable.kind.parse(value) !== undefined;
  return isValid ? (variable.kind.redact?.(value) ?? "[redacted]") : "[redacted]";
}

/** `.env.example`: every variable with its meaning and default. */
export function envExample(): string {
  const entries = all.map((variable) => {
    const { name, doc, kind, modes, fallback } = variable;
    const embedded = fallback?.("embedded");
    const production = fallback?.("production");
    const scope = modes === undefined ? "" : ` Only in ${modes.join(" and ")} mode.`;
    const also = embedded === production ? "" : ` In production mode ${production}.`;
    const comment = wrap(`${doc}${scope}`, `Expected: ${kind.expected}.${also}`);
    return `${comment}\n# ${name}=${embedded ?? ""}\n`;
  });
  const opening =
    "# Every variable of Muster with its default. Made by `make gen` from packages/config: edit it there.\n";
  return [opening, ...entries].join("\n");
}

const COLUMNS_MAX = 110;

function wrap(...paragraphs: readonly string[]): string {
  return paragraphs.map(wrapParagraph).join("\n");
}

function wrapParagraph(paragraph: string): string {
  const lines: string[] = [];
  let line = "#";
  for (const word of paragraph.split(" ")) {
    if (line.length + word.length + 1 > COLUMNS_MAX) {
      lines.push(line);
      line = "#";
    }
    line += ` ${word}`;
  }
  return [...lines, line].join("\n");
}
