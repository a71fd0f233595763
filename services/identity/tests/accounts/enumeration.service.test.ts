// Tests that a registration and a request for a reset cost the same hashes and statements for every address.
import { AccountService } from "@muster/contracts/muster/identity/v1/account_service_pb";
import { ENGINES } from "@muster/testkit";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { Passwords } from "../../src/passwords/passwords.ts";
import { AccountHarness } from "./account-harness.ts";

const { forgotPassword, resendVerification } = AccountService.method;

describe.each(ENGINES)("the work for an address on %s", (engine) => {
  let identity: AccountHarness;
  let addresses: Record<"unknown" | "pending" | "verified" | "full", () => Promise<string>>;

  beforeAll(async () => {
    identity = await AccountHarness.open(engine);
    const unknown = identity.newAddress();
    const pending = identity.newAddress();
    const full = identity.newAddress();
    await identity.register(pending);
    for (let count = 0; count < 20; count += 1) await identity.register(full);
    const { email } = await identity.newUser();
    addresses = {
      unknown: async () => unknown,
      pending: async () => pending,
      verified: async () => email,
      full: async () => full,
    };
  });
  afterAll(() => identity.close());

  /** The statements and the number of hashes of a call. */
  async function workOf(run: () => Promise<unknown>) {
    const hashes = vi.spyOn(Passwords.prototype, "hash");
    const { outcome, statements } = await identity.watched.during(run);
    const count = hashes.mock.calls.length;
    hashes.mockRestore();
    expect(outcome.status).toBe("fulfilled");
    return { statements, hashes: count };
  }

  test.each([
    ["register", (email: string) => identity.register(email), 1],
    ["forgot", (email: string) => identity.call(forgotPassword, { email }), 0],
    ["resend", (email: string) => identity.call(resendVerification, { email }), 0],
  ])("%s", async (_name, call, hashes) => {
    const works = [];
    // The mails of the last hour no longer count.
    identity.later(3_600_000);
    for (const addressOf of Object.values(addresses)) {
      const email = await addressOf();
      works.push(await workOf(() => call(email)));
    }
    const [first, ...others] = works;
    expect(first?.hashes).toBe(hashes);
    expect(first?.statements.length).toBeGreaterThan(4);
    for (const other of others) expect(other).toEqual(first);
  });
});
