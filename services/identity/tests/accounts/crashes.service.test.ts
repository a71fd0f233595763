// Tests that a process can die at every statement of a registration and a verification: the next call succeeds.
import { AccountService } from "@muster/contracts/muster/identity/v1/account_service_pb";
import { ENGINES } from "@muster/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AccountHarness, NEW_PASSWORD, PASSWORD } from "./account-harness.ts";

const { forgotPassword, resetPassword, verifyEmail } = AccountService.method;

describe.each(ENGINES)("a crash on %s", (engine) => {
  let identity: AccountHarness;

  beforeAll(async () => {
    identity = await AccountHarness.open(engine);
  });
  afterAll(() => identity.close());

  /** Runs the call with a crash at each of its statements, until a call has none. Returns the number of crashes. */
  async function crashAtEach(run: () => Promise<unknown>, between: () => Promise<void>): Promise<number> {
    for (let statement = 0; ; statement += 1) {
      const { outcome, isDead } = await identity.watched.during(run, statement);
      if (!isDead) {
        expect(outcome.status).toBe("fulfilled");
        return statement;
      }
      expect(outcome.status).toBe("rejected");
      await between();
    }
  }

  test("at every statement of a registration", async () => {
    const email = identity.newAddress();
    const crashes = await crashAtEach(
      () => identity.register(email),
      async () => expect(await identity.findUser(email)).toBeUndefined(),
    );
    expect(crashes).toBeGreaterThan(4);
    // No crashed registration has left a mail.
    await identity.call(verifyEmail, { token: await identity.mails.nextToken(email) });
    expect(identity.mails.all.filter(({ to }) => to === email)).toHaveLength(1);
  });

  test("at every statement of a verification", async () => {
    const email = identity.newAddress();
    await identity.register(email, { organizationName: "Acme" });
    const token = await identity.mails.nextToken(email);
    const crashes = await crashAtEach(
      () => identity.call(verifyEmail, { token }),
      async () => expect(await identity.findUser(email)).toBeUndefined(),
    );
    expect(crashes).toBeGreaterThan(6);
    expect(await identity.hasPassword(email, PASSWORD)).toBe(true);
  });

  test("at every statement of a reset", async () => {
    const { email } = await identity.newUser();
    await identity.call(forgotPassword, { email });
    const token = await identity.mails.nextToken(email);
    const crashes = await crashAtEach(
      () => identity.call(resetPassword, { token, password: NEW_PASSWORD }),
      async () => expect(await identity.hasPassword(email, PASSWORD)).toBe(true),
    );
    expect(crashes).toBeGreaterThan(6);
    expect(await identity.hasPassword(email, NEW_PASSWORD)).toBe(true);
  });
});
