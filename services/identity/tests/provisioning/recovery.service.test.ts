// Tests failures at each step of a provisioning, crashes at each statement, and processes that overtake each other.
import type { ProvisionOrganizationResponse } from "@muster/contracts/muster/identity/v1/provisioning_service_pb";
import { uuidToBytes } from "@muster/core";
import { ENGINES, waitFor } from "@muster/testkit";
import { expectReason } from "@muster/testkit/module";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { CreatedPartner } from "../../src/partners/create-partner-direct.ts";
import { type Content, type Crash, ProvisioningHarness, unavailable } from "./provisioning-harness.ts";

/** After this time a worker takes the work over. */
const TAKEOVER_MS = 60_000;

describe.each(ENGINES)("recovery of provisionings on %s", (engine) => {
  let harness: ProvisioningHarness;
  let partner: CreatedPartner;

  beforeAll(async () => {
    harness = await ProvisioningHarness.open(engine);
    partner = await harness.partner();
  });
  afterAll(() => harness.close());
  beforeEach(() => {
    harness.segments.before = async () => {};
    harness.segments.after = async () => {};
  });

  const provision = (content: Content) => harness.provision(partner, content);

  async function recover(): Promise<void> {
    harness.identity.later(TAKEOVER_MS);
    await harness.step("provisioning-worker");
  }

  const pending = () =>
    harness.identity.database.reader("provisionings").select("external_id").whereNotNull("due_time_ms");

  /** A repeated request makes a single whole organization with a single owner. */
  async function expectOne(content: Content): Promise<ProvisionOrganizationResponse> {
    const response = await provision(content);
    expect(await harness.isWhole(response)).toBe(true);
    const { id } = await harness.identity.userOf(content.ownerEmail);
    expect(response.owner?.id).toBe(id);
    const { reader } = harness.identity.database;
    const owned = await reader("memberships").select("organization_id").where("user_id", uuidToBytes(id));
    expect(owned).toHaveLength(1);
    return response;
  }

  /** Fails the transactions of one provisioning: the beginning, the end, the undoing. */
  const failing = (crashes: readonly Crash[], content: Content) =>
    expectReason(
      harness.crashes.during(crashes, () => provision(content)),
      "INTERNAL",
    );

  test.each(["before", "after"] as const)("a failure %s segments are made leaves no rows", async (when) => {
    const content = harness.content();
    const before = await harness.rows();
    const provisioned = new Set(harness.segments.provisioned);
    harness.segments[when] = unavailable;
    await expectReason(provision(content), "UNAVAILABLE", { retryAfterMs: expect.any(Number) });
    expect(await harness.rows()).toEqual(before);
    await harness.step("closing-worker");
    expect(harness.segments.provisioned).toEqual(provisioned);
    harness.segments[when] = async () => {};
    await expectOne(content);
  });

  test("a failure of the beginning or of the last transaction leaves no rows", async () => {
    const content = harness.content();
    const before = await harness.rows();
    const provisioned = new Set(harness.segments.provisioned);
    await failing(["before"], content);
    await failing(["no", "before"], content);
    expect(await harness.rows()).toEqual(before);
    await harness.step("closing-worker");
    expect(harness.segments.provisioned).toEqual(provisioned);
    await expectOne(content);
  });

  test("a failure after the last commit undoes nothing", async () => {
    const content = harness.content();
    await failing(["no", "after"], content);
    const rows = await harness.rows();
    await expectOne(content);
    expect(await harness.rows()).toEqual(rows);
  });

  test("a failure whose undoing fails is undone or finished later", async () => {
    const content = harness.content();
    await failing(["no", "before", "before"], content);
    expect(await pending()).toHaveLength(1);
    await recover();
    expect(await pending()).toEqual([]);
    await expectOne(content);
  });

  test("a crash at every statement is finished by the recovery, and a repetition creates nothing", async () => {
    const { identity } = harness;
    for (let statement = 0; ; statement += 1) {
      const content = harness.content();
      const { outcome, isDead } = await identity.watched.during(() => provision(content), statement);
      if (!isDead) {
        expect(outcome.status).toBe("fulfilled");
        expect(statement).toBeGreaterThan(15);
        return;
      }
      expect(outcome.status).toBe("rejected");
      const begun = (await pending()).length;
      expect(await identity.findUser(content.ownerEmail)).toBeUndefined();
      await recover();
      expect(await pending()).toEqual([]);
      expect((await identity.findUser(content.ownerEmail)) !== undefined).toBe(begun === 1);
      await expectOne(content);
    }
  });

  test("a crash is undone by the recovery where the work cannot be finished", async () => {
    const content = harness.content();
    const before = await harness.rows();
    await dieDuringSegments(content);
    harness.segments.before = unavailable;
    harness.identity.later(TAKEOVER_MS);
    await expect(harness.step("provisioning-worker")).rejects.toThrow();
    expect(await harness.rows()).toEqual(before);
    harness.segments.before = async () => {};
    await expectOne(content);
  });

  test("the only process finishes at its start, without a wait", async () => {
    const content = harness.content();
    await dieDuringSegments(content);
    const next = await harness.restarted(engine);
    await waitFor(async () => (await pending()).length === 0);
    await next.close();
    await expectOne(content);
  });

  /** The process never continues after the call of segments. */
  async function dieDuringSegments(content: Content): Promise<void> {
    const dead = gate();
    provision(content).catch(() => {});
    await dead.reached;
    expect(await pending()).toHaveLength(1);
  }

  function gate(): { readonly reached: Promise<void>; readonly open: () => void } {
    const { segments } = harness;
    const passed = Promise.withResolvers<void>();
    const reached = Promise.withResolvers<void>();
    segments.before = async () => {
      segments.before = async () => {};
      reached.resolve();
      await passed.promise;
    };
    return { reached: reached.promise, open: () => passed.resolve() };
  }

  test("a process that was frozen returns what the recovery has made", async () => {
    const content = harness.content();
    const frozen = gate();
    const call = provision(content);
    await frozen.reached;
    await recover();
    const made = await expectOne(content);
    frozen.open();
    expect(await call).toEqual(made);
    await expectOne(content);
  });

  test("a process that was frozen begins anew where the recovery has undone its work", async () => {
    const content = harness.content();
    const frozen = gate();
    const call = provision(content);
    await frozen.reached;
    harness.segments.before = unavailable;
    harness.identity.later(TAKEOVER_MS);
    await expect(harness.step("provisioning-worker")).rejects.toThrow();
    harness.segments.before = async () => {};
    frozen.open();
    const made = await call;
    expect(await expectOne(content)).toEqual(made);
    await harness.step("closing-worker");
    expect(await harness.isWhole(made)).toBe(true);
  });

  test("a repetition during the work finishes the work, and a failure of the first undoes nothing then", async () => {
    const content = harness.content();
    const slow = gate();
    const call = provision(content);
    await slow.reached;
    const made = await provision(content);
    harness.segments.after = unavailable;
    slow.open();
    await expectReason(call, "UNAVAILABLE");
    harness.segments.after = async () => {};
    expect(await expectOne(content)).toEqual(made);
  });
});
