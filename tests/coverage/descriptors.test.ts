// Checks the options that every RPC must set in its proto, and that the app serves every RPC.
import type { DescMessage } from "@bufbuild/protobuf";
import { EVERY_KEY_PERMISSION, PERMISSIONS, rolesWith } from "@muster/authz";
import { SERVICE_NAMES, TARGETS } from "@muster/config";
import {
  Access,
  AccessSchema,
  RateClass,
  RateClassSchema,
  StreamEnd,
} from "@muster/contracts/muster/options/v1/options_pb";
import { createTranscoder } from "@muster/service-gateway";
import { golden } from "@muster/testkit";
import { itemsMaxOf } from "@muster/transcoder";
import { describe, expect, test } from "vitest";
import { contracts } from "../../apps/muster/src/targets.ts";
import { allServices, fullName, httpVerbs, policyOf } from "./all-services.ts";

const services = await allServices();
const methods = services.flatMap((service) => service.methods);
const named = methods.map((method) => [fullName(method), method] as const);

test("there are methods", () => {
  expect(methods.length).toBeGreaterThan(15);
});

/** POSTs that ignore Idempotency-Key, because each redeems a token that works once. */
const WITHOUT_IDEMPOTENCY_KEYS = [
  "muster.identity.v1.MagicLinkService/RedeemMagicLink",
  "muster.identity.v1.SessionService/RefreshToken",
];

describe.each(named)("%s", (_, method) => {
  const policy = policyOf(method);
  const verbs = httpVerbs(method);

  test("states its callers, and a permission exactly if it checks one", () => {
    expect(policy.access).not.toBe(Access.UNSPECIFIED);
    if (policy.access === Access.INTERNAL) {
      expect(policy.permission).toBe("");
      expect(policy.callers.length).toBeGreaterThan(0);
      // "operator" is the CLI, which holds the installation's secret.
      for (const caller of policy.callers) expect([...TARGETS, "operator"]).toContain(caller);
      expect(policy.anonymousDemo).toBe(false);
    } else {
      const isPermission = policy.access === Access.PERMISSION;
      expect(policy.permission).toMatch(isPermission ? /^[a-z_]+\.[a-z_]+$/ : /^$/);
      expect(policy.callers).toEqual([]);
    }
  });

  test("states step-up, sensitivity, rate class and audit action", () => {
    expect(policy.stepUp).toBeTypeOf("boolean");
    expect(policy.sensitive).toBeTypeOf("boolean");
    expect(policy.rateClass).not.toBe(RateClass.UNSPECIFIED);
    expect(policy.auditAction).toMatch(/^(none|[a-z_]+\.[a-z_]+)$/);
  });

  test("has an HTTP rule exactly if it is public, and unary or a download", () => {
    const isDownload =
      method.methodKind === "server_streaming" && method.output.typeName === "google.api.HttpBody";
    const isRouted = policy.access !== Access.INTERNAL && (method.methodKind === "unary" || isDownload);
    expect(verbs.length > 0).toBe(isRouted);
  });

  test("declares whether its stream ends exactly if it streams responses", () => {
    expect(policy.streamEnd !== StreamEnd.UNSPECIFIED).toBe(method.methodKind !== "unary");
  });

  test("is under the idempotency ledger exactly if it is a POST that takes keys", () => {
    const isRepeatable = WITHOUT_IDEMPOTENCY_KEYS.includes(fullName(method));
    expect(policy.idempotencyLedger).toBe(verbs.includes("post") && !isRepeatable);
  });
});

test("the policies are those that were reviewed", async () => {
  const lines = methods.map((method) => {
    const { access, permission, callers, stepUp, sensitive, rateClass, auditAction, streamEnd } =
      policyOf(method);
    const words = [
      fullName(method),
      AccessSchema.value[access]?.localName.toLowerCase() ?? "?",
      permission || callers.join(",") || "-",
      RateClassSchema.value[rateClass]?.localName.toLowerCase() ?? "?",
      auditAction,
      stepUp ? "step_up" : "",
      sensitive ? "sensitive" : "",
      policyOf(method).anonymousDemo ? "demo" : "",
      streamEnd === StreamEnd.ENDLESS ? "endless" : "",
    ];
    return words.filter((word) => word !== "").join(" ");
  });
  await golden("policies.txt", `${lines.sort().join("\n")}\n`);
});

test("the permissions of roles and of keys are those that were reviewed", async () => {
  const lines = PERMISSIONS.map((permission) => {
    const isOfKeys = EVERY_KEY_PERMISSION.includes(permission);
    return [permission, ...rolesWith(permission), ...(isOfKeys ? ["*"] : [])].join(" ");
  });
  await golden("permissions.txt", `${lines.join("\n")}\n`);
});

test("every permission of a method has a row in the table of roles", () => {
  const used = methods.map((method) => policyOf(method).permission).filter((name) => name !== "");
  expect(used.filter((name) => !PERMISSIONS.includes(name))).toEqual([]);
});

test("every list and map that a client may send has a limit, so that decoding stops there", () => {
  const missing = new Set<string>();
  const seen = new Set<DescMessage>();
  const visit = (desc: DescMessage): void => {
    if (seen.has(desc) || desc.file.proto.package.startsWith("google.")) return;
    seen.add(desc);
    for (const field of desc.fields) {
      const isMany = field.fieldKind === "list" || field.fieldKind === "map";
      if (isMany && itemsMaxOf(field) === Infinity) missing.add(`${desc.typeName}.${field.name}`);
      if (field.message !== undefined) visit(field.message);
    }
  };
  for (const method of methods) if (policyOf(method).access !== Access.INTERNAL) visit(method.input);
  expect([...missing]).toEqual([
    // Only the transcoder fills these, with an entry for each unreadable item.
    "muster.events.v1.BatchRecordEventsRequest.unreadable_events",
    "muster.events.v1.BatchRequest.unreadable_calls",
    "muster.events.v1.ImportRequest.unreadable_calls",
  ]);
});

test("the app serves every service of the protos, each by the module of its package", () => {
  const known = SERVICE_NAMES.flatMap((name) =>
    contracts[name].map((service) => {
      expect(service.typeName).toMatch(new RegExp(`^muster\\.${name}\\.v\\d+\\.`));
      return service.typeName;
    }),
  );
  expect(known.sort()).toEqual(services.map((service) => service.typeName).sort());
});

test("the routes are those that were reviewed", async () => {
  const transcoder = createTranscoder(services, () => {
    throw new Error("nothing is called");
  });
  await golden("routes.txt", transcoder.printRoutes());
});
