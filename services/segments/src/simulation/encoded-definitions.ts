// Converts rules to the form that a thread receives, which is their stored form, and back.
import type { EvaluationId, SegmentId } from "@muster/core";
import type { EvaluatedRule } from "../engine/rule/rule.ts";
import type { SegmentDefinition } from "../engine/state/definitions.ts";
import { mapSegmentIds } from "../rules/map-segment-ids.ts";
import { decodeRule, encodeRule } from "../rules/rule-proto.ts";
import { RuleSimulation } from "./rule-simulation.ts";

export interface EncodedDefinition extends Omit<SegmentDefinition, "rule"> {
  readonly rule: string;
}

export interface EncodedSimulation {
  readonly rule: string;
  readonly segments: readonly EncodedDefinition[];
}

export function encodeSimulation({ rule, segments }: RuleSimulation): EncodedSimulation {
  return { rule: encodeEvaluatedRule(rule), segments: segments.map(encodeDefinition) };
}

export function decodeSimulation({ rule, segments }: EncodedSimulation): RuleSimulation {
  return new RuleSimulation(decodeEvaluatedRule(rule), segments.map(decodeDefinition));
}

export function encodeDefinition(definition: SegmentDefinition): EncodedDefinition {
  return { ...definition, rule: encodeEvaluatedRule(definition.rule) };
}

export function decodeDefinition(encoded: EncodedDefinition): SegmentDefinition {
  return { ...encoded, rule: decodeEvaluatedRule(encoded.rule) };
}

/** The stored form has ids of segments, which are texts like the ids of evaluations. */
function encodeEvaluatedRule(rule: EvaluatedRule): string {
  return encodeRule(mapSegmentIds(rule, (id) => id as string as SegmentId));
}

function decodeEvaluatedRule(text: string): EvaluatedRule {
  return mapSegmentIds(decodeRule(text), (id) => id as string as EvaluationId);
}
