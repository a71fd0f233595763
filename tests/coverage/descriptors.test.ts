// Checks the options that every RPC must set in its proto, and that the app serves every RPC.
import { SERVICE_NAMES, TARGETS } from "@muster/config";
import { createTranscoder } from "@muster/service-gateway";
import { golden } from "@muster/testkit";
import { describe, expect, test } from "vitest";
import { contracts } from "../../apps/muster/src/targets.ts";
import { allServices, fullName, httpVerbs, policyOf } from "./all-services.ts";

const services = await allServices();
const methods = services.flatMap((service) => service.methods);
const named = methods.map((method) => [fullName(method), method] as const);

test("there are methods", () => {
  expect(methods.length).toBeGreaterThan(15);
});

describe.each(named)("%s", (_, method) => {
  const policy = policyOf(method);
  const verbs = httpVerbs(method);

  test("names a permission, or is internal and names its callers", () => {
    if (policy.internal) {
      expect(policy.permission).toBe("");
      expect(policy.callers.length).toBeGreaterThan(0);
      // "operator" is the CLI, which holds the installation's secret.
      for (const caller of policy.callers) expect([...TARGETS, "operator"]).toContain(caller);
      expect(policy.anonymousDemo).toBe(false);
    } else {
      expect(policy.permission).toMatch(/^[a-z_]+\.[a-z_]+$/);
      expect(policy.callers).toEqual([]);
    }
  });

  test("has an HTTP rule exactly if it is public and unary", () => {
    const isRouted = !policy.internal && method.methodKind === "unary";
    expect(verbs.length > 0).toBe(isRouted);
  });

  test("is under the idempotency ledger exactly if it is a POST", () => {
    expect(policy.idempotencyLedger).toBe(verbs.includes("post"));
  });
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
