// Tests the account of the caller: what it shows, and which fields change.
import { AccountService } from "@muster/contracts/muster/identity/v1/account_service_pb";
import { randomIds, type UserId } from "@muster/core";
import { ENGINES } from "@muster/testkit";
import { expectReason } from "@muster/testkit/module";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AccountHarness } from "./account-harness.ts";

const { getMe, listActivities, updateMe } = AccountService.method;

describe.each(ENGINES)("the account of the caller on %s", (engine) => {
  let identity: AccountHarness;

  beforeAll(async () => {
    identity = await AccountHarness.open(engine);
  });
  afterAll(() => identity.close());

  test("name and language change, and the change is in the activities with its client", async () => {
    const user = await identity.newUser();
    identity.later(1_000);
    const { me } = await identity.call(updateMe, { me: { name: "Ada L.", locale: "de" } }, identity.as(user));
    expect(me).toMatchObject({ name: "Ada L.", locale: "de" });
    const again = await identity.call(getMe, {}, identity.as(user));
    expect(again.me).toEqual(me);
    await identity.call(updateMe, { me: { name: "Ada L." } }, identity.as(user));
    const { activities } = await identity.call(listActivities, {}, identity.as(user));
    expect(activities.map(({ kind }) => kind)).toEqual(["profile_updated", "email_verified"]);
    expect((await identity.mails.next(user.email)).subject).toBe("Ihr Konto wurde geändert");
  });

  test("a mask clears the language and not the name", async () => {
    const user = await identity.newUser();
    await identity.call(updateMe, { me: { locale: "fr" } }, identity.as(user));
    const cleared = { me: {}, updateMask: { paths: ["locale"] } };
    expect((await identity.call(updateMe, cleared, identity.as(user))).me?.locale).toBeUndefined();
    const nameless = { me: {}, updateMask: { paths: ["name"] } };
    await expectReason(identity.call(updateMe, nameless, identity.as(user)), "FIELD_INVALID");
    for (const me of [{ name: "Ada\nBcc: eve@example.com" }, { name: "x".repeat(101) }]) {
      await expectReason(identity.call(updateMe, { me }, identity.as(user)), "FIELD_INVALID", {
        fields: [{ field: "me.name" }],
      });
    }
  });

  test("pages of activities repeat and omit nothing, and are of the caller alone", async () => {
    const [user, other] = [await identity.newUser(), await identity.newUser()];
    for (let change = 0; change < 5; change += 1) {
      identity.later(1);
      await identity.call(updateMe, { me: { name: `Ada ${change}` } }, identity.as(user));
    }
    const seen: string[] = [];
    let pageToken = "";
    do {
      const page = await identity.call(listActivities, { pageSize: 2, pageToken }, identity.as(user));
      seen.push(...page.activities.map(({ id }) => id));
      if (pageToken === "") {
        const foreign = { pageToken: page.nextPageToken };
        await expectReason(identity.call(listActivities, foreign, identity.as(other)), "PAGE_TOKEN_INVALID");
      }
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    expect(new Set(seen).size).toBe(6);
    expect((await identity.call(listActivities, {}, identity.as(other))).activities).toHaveLength(1);
  });

  test("a deleted account has no session", async () => {
    const gone = identity.as({ ...(await identity.newUser()), id: randomIds.next<UserId>(0) });
    await expectReason(identity.call(getMe, {}, gone), "SESSION_ENDED");
    await expectReason(identity.call(updateMe, { me: { name: "Ada" } }, gone), "SESSION_ENDED");
  });
});
