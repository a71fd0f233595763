// Converts values for the log: plain values pass; errors, messages and bytes are reduced to parts without
// personal data.
import { PlainError } from "@muster/core";

const DEPTH_MAX = 8;
const ITEMS_MAX = 100;
const TEXT_LENGTH_MAX = 1024;
const CAUSES_MAX = 4;
const FRAMES_MAX = 20;

/** Properties that identify the kind of an error, in libraries and in Muster. */
const ERROR_CODES = ["reason", "code", "errno", "sqlState", "syscall"] as const;
const CODE_FORM = /^[\w.-]{1,64}$/;
const FRAME_FORM = /^ {4}at [^\n]*(?:file:\/\/|node:|[/\\])[^\n]*:\d+:\d+\)?$/;

/**
 * A copy that can be written. Messages and bytes appear only by type, unless packages/privacy made them
 * readable.
 */
export function loggable(value: unknown, depth = 1): unknown {
  if (typeof value === "string") return cutText(value);
  if (typeof value === "bigint") return value.toString();
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Error) return describeError(value);
  if (value instanceof Uint8Array) return `${value.byteLength} bytes`;
  if ("$typeName" in value) return { message: String(value.$typeName) };
  if (depth >= DEPTH_MAX) return "…";
  // Fast path: the fields of nearly every line are plain values.
  if (isPlain(value)) return value;
  if (Array.isArray(value)) return value.slice(0, ITEMS_MAX).map((item) => loggable(item, depth + 1));
  const entries = Object.entries(value).slice(0, ITEMS_MAX);
  return Object.fromEntries(entries.map(([key, held]) => [key, loggable(held, depth + 1)]));
}

function isPlain(value: object): boolean {
  let count = 0;
  for (const key in value) {
    const held = (value as Record<string, unknown>)[key];
    const isShort = typeof held === "string" && held.length <= TEXT_LENGTH_MAX;
    if (!isShort && held !== undefined && typeof held !== "number" && typeof held !== "boolean") return false;
    count += 1;
  }
  return count <= ITEMS_MAX;
}

/**
 * The kind of an error: types and codes of the error and its causes, and the place of the deepest cause. Errors
 * of the same kind have the same text, which contains no value of a message.
 */
export function kindOfError(error: unknown): string {
  const parts: string[] = [];
  let deepest: Error | undefined;
  for (let cause = error; cause instanceof Error && parts.length <= CAUSES_MAX; cause = cause.cause) {
    deepest = cause;
    parts.push([cutText(cause.name), ...Object.values(codesOf(cause))].join(" "));
  }
  const frame = framesOf(deepest)[0];
  if (frame !== undefined) parts.push(frame);
  return parts.join(": ");
}

/**
 * Type, codes and frames of an error and of its causes. The message is included only for {@link PlainError}:
 * drivers quote statements, and parsers quote their input. Other properties of an error are left out for the
 * same reason.
 */
function describeError(error: Error, causes = 0): Record<string, unknown> {
  const described: Record<string, unknown> = { type: cutText(error.name) };
  if (error instanceof PlainError) described.message = cutText(error.message);
  Object.assign(described, codesOf(error));
  described.stack = framesOf(error);
  if (error.cause instanceof Error && causes < CAUSES_MAX) {
    described.cause = describeError(error.cause, causes + 1);
  }
  return described;
}

function codesOf(error: Error): Record<string, number | string> {
  const codes: Record<string, number | string> = {};
  for (const name of ERROR_CODES) {
    const code = (error as unknown as Record<string, unknown>)[name];
    if (typeof code === "number" || (typeof code === "string" && CODE_FORM.test(code))) codes[name] = code;
  }
  return codes;
}

function framesOf(error: Error | undefined): string[] {
  const frames = (error?.stack ?? "").split("\n").filter((line) => FRAME_FORM.test(line));
  return frames.slice(0, FRAMES_MAX).map((line) => line.trim());
}

function cutText(text: string): string {
  return text.length > TEXT_LENGTH_MAX ? `${text.slice(0, TEXT_LENGTH_MAX)}…` : text;
}
