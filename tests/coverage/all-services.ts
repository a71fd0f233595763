// Every RPC service and file that the generated code holds, found by looking, so that a new one can't be missed.
import { readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { type DescFile, type DescMethod, type DescService, getOption } from "@bufbuild/protobuf";
import { http } from "@muster/contracts/google/api/annotations_pb";
import { type MethodPolicy, policy } from "@muster/contracts/muster/options/v1/options_pb";

const GENERATED = resolve(import.meta.dirname, "../../packages/contracts/src/gen/muster");

export async function allServices(): Promise<DescService[]> {
  const services = (await allFiles()).flatMap((file) => file.services);
  return services.sort((left, right) => left.typeName.localeCompare(right.typeName));
}

/** Of the packages below muster. */
export async function allFiles(): Promise<DescFile[]> {
  const files = readdirSync(GENERATED, { recursive: true, encoding: "utf8" }).filter((name) =>
    name.endsWith("_pb.ts"),
  );
  const modules = await Promise.all(
    files.map(async (file) => (await import(join(GENERATED, file))) as Record<string, unknown>),
  );
  return modules.flatMap((module) => Object.values(module)).filter(isFile);
}

function isFile(value: unknown): value is DescFile {
  return typeof value === "object" && value !== null && "kind" in value && value.kind === "file";
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
