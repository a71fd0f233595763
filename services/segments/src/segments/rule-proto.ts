// Rules as callers write them (protobuf) and as they are stored (its JSON form), to and from the engine's.
import { create, fromJsonString, type MessageInitShape, toJsonString } from "@bufbuild/protobuf";
import { type Rule as RuleMessage, RuleSchema } from "@muster/contracts/muster/segments/v1/rule_pb";
import type { CreateSegmentRequest } from "@muster/contracts/muster/segments/v1/segment_service_pb";
import { assert } from "@muster/core";
import { invalidField } from "@muster/errors";
import { matcherOf } from "../engine/matcher.ts";
import { type Rule, WINDOWED_COUNT_MAX, type Window } from "../engine/rule.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

/** The rule that a request defines, by `rule` or by the short form. The request has been validated. */
export function ruleOfRequest(request: CreateSegmentRequest): Rule {
  if (request.rule !== undefined) return ruleFromProto(request.rule, "rule");
  const { eventName, minCount, withinDays } = request;
  if (eventName === undefined) throw invalidField("event_name", "is required");
  if (minCount === undefined) throw invalidField("min_count", "is required");
  const window: Window | undefined =
    withinDays === undefined ? undefined : { kind: "last", ms: withinDays * DAY_MS };
  checkCount(minCount, window, "min_count");
  return {
    kind: "performed",
    matcher: matcherOf(eventName),
    count: { kind: "at_least", n: minCount },
    window,
  };
}

/** `path` is where the rule stands in the request, for the errors. */
function ruleFromProto(message: RuleMessage, path: string): Rule {
  switch (message.kind.case) {
    case "performed": {
      const { eventName, count, window } = message.kind.value;
      if (count?.condition.case !== "atLeast") throw invalidField(`${path}.performed.count`, "is required");
      const n = count.condition.value;
      const last = window === undefined ? undefined : windowFromProto(window, `${path}.performed.window`);
      checkCount(n, last, `${path}.performed.count.at_least`);
      return {
        kind: "performed",
        matcher: matcherOf(eventName),
        count: { kind: "at_least", n },
        window: last,
      };
    }
    case "performedThenNot": {
      const { eventName, thenNotEventName } = message.kind.value;
      return {
        kind: "performed_then_not",
        matcher: matcherOf(eventName),
        thenNot: matcherOf(thenNotEventName),
      };
    }
    default:
      throw invalidField(path, "is required");
  }
}

export function ruleToProto(rule: Rule): MessageInitShape<typeof RuleSchema> {
  switch (rule.kind) {
    case "performed": {
      const value = {
        eventName: rule.matcher.eventName,
        count: { condition: { case: "atLeast" as const, value: rule.count.n } },
      };
      if (rule.window === undefined) return { kind: { case: "performed", value } };
      const last = {
        seconds: BigInt(Math.floor(rule.window.ms / 1000)),
        nanos: (rule.window.ms % 1000) * 1_000_000,
      };
      const window = { window: { case: "last" as const, value: last } };
      return { kind: { case: "performed", value: { ...value, window } } };
    }
    case "performed_then_not":
      return {
        kind: {
          case: "performedThenNot",
          value: { eventName: rule.matcher.eventName, thenNotEventName: rule.thenNot.eventName },
        },
      };
  }
}

/** The stored form. */
export function encodeRule(rule: Rule): string {
  return toJsonString(RuleSchema, create(RuleSchema, ruleToProto(rule)));
}

export function decodeRule(text: string): Rule {
  return ruleFromProto(fromJsonString(RuleSchema, text), "rule");
}

type WindowMessage = NonNullable<Extract<RuleMessage["kind"], { case: "performed" }>["value"]["window"]>;

function windowFromProto(message: WindowMessage, path: string): Window {
  if (message.window.case !== "last") throw invalidField(path, "is required");
  const { seconds, nanos } = message.window.value;
  if (nanos % 1_000_000 !== 0) throw invalidField(`${path}.last`, "must be whole milliseconds");
  const ms = Number(seconds) * 1000 + nanos / 1_000_000;
  assert(Number.isSafeInteger(ms), "a window is bounded by validation");
  if (ms < 1) throw invalidField(`${path}.last`, "must be at least a millisecond");
  return { kind: "last", ms };
}

function checkCount(n: number, window: Window | undefined, path: string): void {
  if (n < 1) throw invalidField(path, "must be at least 1");
  if (window !== undefined && n > WINDOWED_COUNT_MAX) {
    throw invalidField(path, `must be at most ${WINDOWED_COUNT_MAX} with a window`);
  }
}
