// Declares the form of a variable.
import type { Kind } from "./kinds.ts";

export const SERVICE_NAMES = ["identity", "events", "segments"] as const;
export const TARGETS = [...SERVICE_NAMES, "gateway"] as const;
export const MODES = ["embedded", "production"] as const;

export type Target = (typeof TARGETS)[number];
export type Mode = (typeof MODES)[number];

/** Purpose of the process, because a variable may be required by one command and not by another. */
export interface Purpose {
  readonly mode: Mode;
  readonly targets: readonly Target[];
  /** "serve" runs services; "administer" only changes their databases; "client" calls a running server. */
  readonly command: "serve" | "administer" | "client";
}

export interface Variable<T> {
  readonly name: `MUSTER_${string}`;
  readonly doc: string;
  readonly kind: Kind<T>;
  /** The default, as text of the environment. */
  readonly fallback?: (mode: Mode) => string;
  readonly requiredFor?: (purpose: Purpose) => boolean;
  /** The modes in which the variable has a meaning; every mode if absent. */
  readonly modes?: readonly Mode[];
  readonly isSecret?: boolean;
}

/** A variable with a default, which therefore always has a value. */
export function given<T>(variable: Variable<T> & { readonly fallback: (mode: Mode) => string }): Variable<T> {
  return variable;
}

/** A variable that may be absent. */
export function optional<T>(variable: Variable<T>): Variable<T | undefined> {
  return variable as Variable<T | undefined>;
}

export const PRODUCTION = ["production"] as const;
export const byMode = (embedded: string, production: string) => (mode: Mode) =>
  mode === "embedded" ? embedded : production;
