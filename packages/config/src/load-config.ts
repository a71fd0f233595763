// Reads the environment once into one frozen object. No other code reads process.env.
import { readFileSync } from "node:fs";
import { parseEnv } from "node:util";
import { closestName } from "./closest-name.ts";
import { type Mode, type Purpose, SERVICE_NAMES, TARGETS, type Target, type Variable } from "./variable.ts";
import { variables } from "./variables.ts";

type Variables = typeof variables;
export type VariableKey = keyof Variables;
type ValueOf<V> = V extends Variable<infer T> ? T : never;

export type Config = { readonly [K in VariableKey]: ValueOf<Variables[K]> };

export type Environment = Readonly<Record<string, string | undefined>>;

/** Flags of the command line; a flag overrides the environment. */
export interface Flags {
  readonly mode?: string | undefined;
  readonly target?: string | undefined;
}

/** Lists everything that is wrong with the configuration, each problem on a line that names its variable. */
export class ConfigError extends Error {
  override name = "ConfigError";
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`The configuration is wrong:\n${problems.map((problem) => `  ${problem}\n`).join("")}`);
    this.problems = problems;
  }
}

/** Variables of tests and tools, which this check ignores. */
const FOREIGN = /^MUSTER_(TEST|UP|BENCH|GOLDEN)_/;

export function loadConfig(options: {
  readonly command: Purpose["command"];
  readonly flags?: Flags;
  readonly environment?: Environment;
}): Config {
  const environment = withFlags(withFile(options.environment ?? process.env, options.command), options.flags);
  const problems = unknownVariables(environment);
  const mode = readValue(variables.mode, environment, "embedded", problems) ?? "embedded";
  const targets = readValue(variables.targets, environment, mode, problems) ?? TARGETS;
  const purpose: Purpose = { command: options.command, mode, targets };
  const config: Record<string, unknown> = {};
  for (const [key, variable] of Object.entries(variables) as [string, Variable<unknown>][]) {
    if (key === "mode" || key === "targets") continue;
    config[key] = readValue(variable, environment, mode, problems);
    const isMissing = config[key] === undefined && !(environment[variable.name] ?? "");
    if (isMissing && variable.requiredFor?.(purpose) === true) {
      problems.push(`${variable.name} is missing: expected ${variable.kind.expected}`);
    }
  }
  problems.push(...contradictions(purpose, config));
  if (problems.length > 0) throw new ConfigError(problems);
  return Object.freeze({ ...config, mode, targets }) as Config;
}

/** Adds the variables of MUSTER_ENV_FILE that are not set. A server never reads the file of another. */
function withFile(environment: Environment, command: Purpose["command"]): Environment {
  const { name } = variables.environmentFile;
  const path = environment[name] ?? "";
  if (path === "" || command === "serve") return environment;
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new ConfigError([`${name} is wrong: ${error instanceof Error ? error.message : String(error)}`]);
  }
  const set = Object.entries(environment).filter(([, value]) => (value ?? "") !== "");
  return { ...parseEnv(text), ...Object.fromEntries(set) };
}

export function withFlags(environment: Environment, flags: Flags = {}): Environment {
  return {
    ...environment,
    ...(flags.mode === undefined ? {} : { [variables.mode.name]: flags.mode }),
    ...(flags.target === undefined ? {} : { [variables.targets.name]: flags.target }),
  };
}

/** An empty variable counts as an absent one, as compose files and shells leave them. */
function readValue<T>(
  variable: Variable<T>,
  environment: Environment,
  mode: Mode,
  problems: string[],
): T | undefined {
  const given = environment[variable.name] ?? "";
  const value = given === "" ? variable.fallback?.(mode) : given;
  if (value === undefined) return undefined;
  const parsed = variable.kind.parse(value);
  if (parsed !== undefined) return parsed;
  const shown = variable.isSecret === true ? "" : ` (it is "${value}")`;
  problems.push(`${variable.name} is wrong: expected ${variable.kind.expected}${shown}`);
  return undefined;
}

function unknownVariables(environment: Environment): string[] {
  const known = new Set<string>(Object.values(variables).map(({ name }) => name));
  const unknownNames = Object.keys(environment).filter(
    (name) => name.startsWith("MUSTER_") && !known.has(name) && !FOREIGN.test(name),
  );
  return unknownNames.sort().map((name) => {
    const suggestion = closestName(name, known);
    return `${name} is no variable of Muster${suggestion === undefined ? "" : `: did you mean ${suggestion}?`}`;
  });
}

/** Problems that involve more than one variable. */
function contradictions({ mode, command, targets }: Purpose, config: Record<string, unknown>): string[] {
  if (command === "client") return [];
  if (mode === "embedded") {
    const isWhole = targets.length === TARGETS.length;
    return isWhole ? [] : [`${variables.targets.name} must be all in embedded mode, which is one process`];
  }
  const withoutDatabase = SERVICE_NAMES.filter(
    (service) =>
      targets.includes(service) &&
      config.databaseUrl === undefined &&
      config[`${service}DatabaseUrl`] === undefined,
  );
  const problems = sharedDatabase(config.databaseUrl);
  if (withoutDatabase.length === 0) return problems;
  return [
    ...problems,
    `${variables.databaseUrl.name} is missing: expected ${variables.databaseUrl.kind.expected}, for ${withoutDatabase.join(", ")}`,
  ];
}

/** Services never share a database, so the URL of the server must not name a database. */
function sharedDatabase(url: unknown): string[] {
  if (typeof url !== "string" || new URL(url).pathname.length <= 1) return [];
  return [
    `${variables.databaseUrl.name} must not name a database: each service has its own, named by ${variables.databasePrefix.name}`,
  ];
}

/** The database of a service: the server's URL and the database's name. */
export function databaseOf(
  config: Config,
  service: Exclude<Target, "gateway">,
): { readonly url: string; readonly name: string } {
  const url = config[`${service}DatabaseUrl`] ?? config.databaseUrl;
  if (url === undefined) throw new ConfigError([`${variables.databaseUrl.name} is missing`]);
  const server = new URL(url);
  const name = decodeURIComponent(server.pathname.slice(1)) || `${config.databasePrefix}${service}`;
  server.pathname = "";
  return { url: server.toString(), name };
}
