// Tests that expired registrations, mail tokens and old activities are deleted, and all others stay.
import { AccountService } from "@muster/contracts/muster/identity/v1/account_service_pb";
import { ENGINES } from "@muster/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ACTIVITY_LIFETIME_MS, type ExpiredDataWorker } from "../../src/account/expired-data-worker.ts";
import { AccountHarness } from "./account-harness.ts";
import { expiredDataWorker } from "./expired-data.ts";

const { forgotPassword, resetPassword, updateMe, verifyEmail } = AccountService.method;
const HOUR_MS = 3_600_000;

describe.each(ENGINES)("expired data of accounts on %s", (engine) => {
  let identity: AccountHarness;
  let worker: ExpiredDataWorker;

  beforeAll(async () => {
    identity = await AccountHarness.open(engine);
    worker = expiredDataWorker(identity);
  });
  afterAll(() => identity.close());

  const count = async (table: string): Promise<number> =>
    (await identity.database.reader(table).select("*")).length;
  const counts = async () => [
    await count("pending_registrations"),
    await count("one_time_tokens"),
    await count("user_activities"),
  ];

  test("each kind at its own time", async () => {
    const user = await identity.newUser();
    const pending = identity.newAddress();
    await identity.register(pending);
    const registration = await identity.mails.nextToken(pending);
    await identity.call(forgotPassword, { email: user.email });
    const reset = await identity.mails.nextToken(user.email);
    // A decoy expires at once.
    await identity.call(forgotPassword, { email: identity.newAddress() });
    await worker.sweep();
    expect(await counts()).toEqual([1, 1, 1]);
    identity.later(HOUR_MS - 1);
    await worker.sweep();
    expect(await counts()).toEqual([1, 1, 1]);
    await identity.call(resetPassword, { token: reset, password: "four other words of it" });
    await identity.call(forgotPassword, { email: user.email });
    identity.later(HOUR_MS);
    await worker.sweep();
    expect(await counts()).toEqual([1, 0, 2]);
    await identity.call(verifyEmail, { token: registration });
    await identity.register(identity.newAddress());
    identity.later(24 * HOUR_MS);
    await worker.sweep();
    expect(await counts()).toEqual([0, 0, 3]);
    identity.later(ACTIVITY_LIFETIME_MS - 25 * HOUR_MS);
    await identity.call(updateMe, { me: { name: "Ada L." } }, identity.as(user));
    await worker.sweep();
    // The verification of the user is older than the reset, which is exactly as old as the limit.
    const rows = await identity.database.reader("user_activities").select<{ kind: Buffer }[]>("kind");
    expect(rows.map(({ kind }) => kind.toString()).sort()).toEqual([
      "email_verified",
      "password_reset",
      "profile_updated",
    ]);
  });
});
