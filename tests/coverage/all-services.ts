// Every RPC service that the generated code holds, found by looking, so that a new one can't be missed.
import { readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { type DescMethod, type DescService, getOption } from "@bufbuild/protobuf";
import { http } from "@muster/contracts/google/api/annotations_pb";
import { type MethodPolicy, policy } from "@muster/contracts/muster/options/v1/options_pb";

const GENERATED = resolve(import.meta.dirname, "../../packages/contracts/src/gen/muster");

export async function allServices(): Promise<DescService[]> {
  const files = readdirSync(GENERATED, { recursive: true, encoding: "utf8" }).filter((name) =>
    name.endsWith("_pb.ts"),
  );
  const modules = await Promise.all(
    files.map(async (file) => (await import(join(GENERATED, file))) as Record<string, unknown>),
  );
  const services = modules.flatMap((module) => Object.values(module)).filter(isService);
  return services.sort((left, right) => left.typeName.localeCompare(right.typeName));
}

function isService(value: unknown): value is DescService {
  return typeof value === "object" && value !== null && "kind" in value && value.kind === "service";
}

export function policyOf(method: DescMethod): MethodPolicy {
  return getOption(method, policy);
}

/** Verbs of the method's google.api.http rules, bindings included. */
export function httpVerbs(method: DescMethod): string[] {
  const rule = getOption(method, http);
  return [rule, ...rule.additionalBindings].flatMap(({ pattern }) =>
    pattern.case === undefined ? [] : [pattern.case],
  );
}

export function fullName(method: DescMethod): string {
  return `${method.parent.typeName}/${method.name}`;
}
