// Durations of rules, written as text. Pure.
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { RuleSchema } from "@muster/contracts/muster/segments/v1/rule_pb";

export type RuleInit = MessageInitShape<typeof RuleSchema>;
/** Such as "500ms", "10s", "30m", "2h" or "1d". */
export type DurationText = `${number}${"ms" | "s" | "m" | "h" | "d"}`;

const UNIT_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const DURATION = /^(\d+)(ms|[smhd])$/;

export function duration(text: DurationText): { readonly seconds: bigint; readonly nanos: number } {
  const [, count, unit] = DURATION.exec(text) ?? [];
  if (count === undefined || unit === undefined) throw new Error(`not a duration: ${text}`);
  const ms = Number(count) * UNIT_MS[unit as keyof typeof UNIT_MS];
  return { seconds: BigInt(Math.floor(ms / 1000)), nanos: (ms % 1000) * 1_000_000 };
}
