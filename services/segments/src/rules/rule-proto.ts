// Converts the rules of requests, and the rules stored in the database (the JSON form of their proto).
import { create, fromJsonString, toJsonString } from "@bufbuild/protobuf";
import { RuleSchema } from "@muster/contracts/muster/segments/v1/rule_pb";
import type { CreateSegmentRequest } from "@muster/contracts/muster/segments/v1/segment_service_pb";
import { invalidField } from "@muster/errors";
import { LRUCache } from "lru-cache";
import { matcherOf } from "../engine/rule/matcher.ts";
import type { Rule, Window } from "../engine/rule/rule.ts";
import { performedOf, ruleFromProto } from "./rule-from-proto.ts";
import { ruleToProto } from "./rule-to-proto.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
const UTC = "UTC";

/** The fields that define a rule, in the long and the short form. */
export type RuleFields = {
  readonly [F in "rule" | "eventName" | "minCount" | "withinDays"]?: CreateSegmentRequest[F] | undefined;
};

/**
 * Returns the rule that a validated request defines, by `rule` or by the short form. `prefix` is the path of
 * these fields in the request, `timeZone` the time zone of the organization.
 */
export function ruleFromRequest(request: RuleFields, prefix = "", timeZone = UTC): Rule {
  if (request.rule !== undefined) return ruleFromProto(request.rule, `${prefix}rule`, timeZone);
  const { eventName, minCount, withinDays } = request;
  if (eventName === undefined) throw invalidField(`${prefix}event_name`, "is required");
  if (minCount === undefined) throw invalidField(`${prefix}min_count`, "is required");
  if (minCount < 1) throw invalidField(`${prefix}min_count`, "must be at least 1");
  const window: Window | undefined =
    withinDays === undefined ? undefined : { kind: "last", ms: withinDays * DAY_MS };
  const count = { kind: "at_least", n: minCount } as const;
  return performedOf(matcherOf(eventName), count, window, { countPath: `${prefix}min_count` });
}

/** Returns the stored form. */
export function encodeRule(rule: Rule): string {
  return toJsonString(RuleSchema, create(RuleSchema, ruleToProto(rule)));
}

/** The rules read last: every write to an organization's segments reads all of its rules again. */
const decoded = new LRUCache<string, Rule>({ max: 10_000 });

/** Returns the same object for the same text, so that values derived from a rule are computed once. */
export function decodeRule(text: string): Rule {
  const cached = decoded.get(text);
  if (cached !== undefined) return cached;
  const rule = ruleFromProto(fromJsonString(RuleSchema, text), "rule", UTC);
  decoded.set(text, rule);
  return rule;
}
