// Reads and checks the fields that an UpdateSegment request changes.
import type {
  SegmentChanges,
  UpdateSegmentRequest,
} from "@muster/contracts/muster/segments/v1/segment_update_pb";
import { invalidField } from "@muster/errors";
import { changedPaths } from "@muster/rpc";
import type { Rule } from "../engine/rule/rule.ts";
import { ruleFromRequest } from "../rules/rule-proto.ts";
import { slugOf } from "../segment-model/segment.ts";

export interface SegmentEdit {
  readonly name: { readonly text: string; readonly slug: string } | undefined;
  /** As written: references to segments are not resolved yet. */
  readonly rule: Rule | undefined;
  /** The path of the rule in the request, for errors. */
  readonly rulePath: string;
  /** The version that the segment must have. */
  readonly version: number | undefined;
  /** Entity tags, one of which must be of the segment's version. */
  readonly ifMatch: string | undefined;
}

const PREFIX = "segment.";
export const NAME_PATH = `${PREFIX}name`;
const RULE_PATH = `${PREFIX}rule`;
/** Mask paths and their fields. */
const maskFields = {
  name: "name",
  rule: "rule",
  event_name: "eventName",
  min_count: "minCount",
  within_days: "withinDays",
  version: "version",
} as const;
type Path = keyof typeof maskFields;
const SHORT_FORM: readonly Path[] = ["event_name", "min_count", "within_days"];

/** `timeZone` is the time zone of the organization. */
export function editFromRequest(request: UpdateSegmentRequest, timeZone: string): SegmentEdit {
  const { segment, updateMask } = request;
  const paths = changedPaths(updateMask, segment, maskFields);
  const given = <P extends Path>(path: P): SegmentChanges[(typeof maskFields)[P]] | undefined =>
    paths.includes(path) ? segment?.[maskFields[path]] : undefined;
  for (const path of ["name", "rule"] as const) {
    if (paths.includes(path) && given(path) === undefined) {
      throw invalidField(PREFIX + path, "can't be cleared");
    }
  }
  const name = given("name");
  const isShort = SHORT_FORM.some((path) => paths.includes(path));
  if (isShort && paths.includes("rule")) {
    throw invalidField(RULE_PATH, "cannot be combined with event_name, min_count and within_days");
  }
  const definition = {
    rule: given("rule"),
    eventName: given("event_name"),
    minCount: given("min_count"),
    withinDays: given("within_days"),
  };
  return {
    name: name === undefined ? undefined : { text: name, slug: slugOf(name, NAME_PATH) },
    rule:
      isShort || definition.rule !== undefined ? ruleFromRequest(definition, PREFIX, timeZone) : undefined,
    rulePath: isShort ? `${PREFIX}event_name` : RULE_PATH,
    // Whatever the mask names: a version in the request is always a condition.
    version: segment?.version,
    ifMatch: request.ifMatch,
  };
}
