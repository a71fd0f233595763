// Tests the reads of login analytics over real logins: read-your-writes, tenants, removed members, and order.
import { LoginAnalyticsService } from "@muster/contracts/muster/identity/v1/login_analytics_service_pb";
import { SessionService } from "@muster/contracts/muster/identity/v1/session_service_pb";
import { type OrganizationId, type UserId, uuidToBytes } from "@muster/core";
import { ENGINES } from "@muster/testkit";
import { type CallAs, expectReason } from "@muster/testkit/module";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Person, SignInUnderTest } from "../sessions/sign-in-under-test.ts";

const { listTopLogins, listInactiveUsers, getLoginStats } = LoginAnalyticsService.method;
const { switchOrganization } = SessionService.method;
const HOUR_MS = 3_600_000;

describe.each(ENGINES)("login analytics on %s", (engine) => {
  let identity: SignInUnderTest;
  beforeAll(async () => {
    identity = await SignInUnderTest.open(engine);
  }, 60_000);
  afterAll(() => identity.close());

  /** An owner who reads, and who has signed in once. */
  async function organization(): Promise<{ organizationId: OrganizationId; owner: Person; as: CallAs }> {
    const organizationId = identity.newOrganization();
    const owner = await identity.person({ name: "Owner" });
    await identity.join(owner.id, organizationId, { role: "owner" });
    return { organizationId, owner, as: identity.by(await identity.login(owner)) };
  }

  async function topLogins(as: CallAs, window = "7d"): Promise<[string, number][]> {
    const { topLogins: rows } = await identity.call(listTopLogins, { window }, as);
    return rows.map(({ user, loginCount }) => [user?.id ?? "", Number(loginCount)]);
  }

  async function inactive(as: CallAs, window: string, pageSize = 1): Promise<string[]> {
    const ids: string[] = [];
    let pageToken = "";
    do {
      const page = await identity.call(listInactiveUsers, { window, pageSize, pageToken }, as);
      ids.push(...page.users.map(({ id }) => id));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    return ids;
  }

  const remove = (organizationId: OrganizationId, userId: UserId) =>
    identity.stored.database.transaction((trx) =>
      trx("memberships")
        .where({ organization_id: uuidToBytes(organizationId), user_id: uuidToBytes(userId) })
        .delete(),
    );

  test("a login that responded is in the next reads, of its own organization alone", async () => {
    const { organizationId, owner, as } = await organization();
    const other = await organization();
    const ada = await identity.person({}, [organizationId]);
    for (let logins = 1; logins <= 3; logins += 1) {
      await identity.login(ada);
      const rows = [ada.id, owner.id].sort().map((id): [string, number] => [id, id === ada.id ? logins : 1]);
      expect(await topLogins(as)).toEqual(rows.sort(([, one], [, two]) => two - one));
      const { days } = await identity.call(getLoginStats, { organizationId, window: "7d" }, as);
      expect(days.at(-1)).toMatchObject({ date: "2026-01-01", logins: BigInt(logins + 1), users: 2n });
      expect(days.map(({ date }) => date).slice(0, 2)).toEqual(["2025-12-26", "2025-12-27"]);
      expect(days).toHaveLength(7);
    }
    expect(await topLogins(other.as)).toEqual([[other.owner.id, 1]]);
  });

  test("a switch counts for the organization that is switched to", async () => {
    const { organizationId, owner, as } = await organization();
    const other = await organization();
    await identity.join(owner.id, other.organizationId);
    await identity.call(switchOrganization, { organizationId: other.organizationId }, as);
    expect(await topLogins(as)).toEqual([[owner.id, 1]]);
    expect((await topLogins(other.as)).map(([, logins]) => logins)).toEqual([1, 1]);
    expect((await identity.call(getLoginStats, { organizationId, window: "30d" }, as)).days).toHaveLength(30);
  });

  test("a removed member is in no list, and the dates keep the logins", async () => {
    const { organizationId, owner, as } = await organization();
    const ada = await identity.person({}, [organizationId]);
    await identity.login(ada);
    await remove(organizationId, ada.id);
    expect(await topLogins(as)).toEqual([[owner.id, 1]]);
    identity.clock.setNowMs(identity.clock.nowMs() + HOUR_MS + 1);
    const later = identity.by(await identity.login(owner));
    expect(await inactive(later, "hour")).toEqual([]);
    const { days } = await identity.call(getLoginStats, { organizationId, window: "7d" }, later);
    expect(days.at(-1)?.logins).toBe(3n);
  });

  test("inactive members: never signed in first, then the oldest login, ties by id", async () => {
    const organizationId = identity.newOrganization();
    const now = identity.clock.nowMs();
    const join = async (ageMs: number | undefined): Promise<UserId> => {
      const { id } = await identity.person();
      const lastLoginTimeMs = ageMs === undefined ? undefined : now - ageMs;
      await identity.join(id, organizationId, { lastLoginTimeMs });
      return id;
    };
    const never = [await join(undefined), await join(undefined)].sort();
    const days40 = [await join(40 * 24 * HOUR_MS), await join(40 * 24 * HOUR_MS)].sort();
    const days8 = await join(8 * 24 * HOUR_MS);
    const days2 = await join(2 * 24 * HOUR_MS);
    const exactlyOneHour = await join(HOUR_MS);
    const hours2 = await join(2 * HOUR_MS);
    await join(1);
    const auditor = await identity.person();
    await identity.join(auditor.id, organizationId, { role: "auditor", lastLoginTimeMs: undefined });
    const as = identity.by(await identity.login(auditor));
    for (const pageSize of [1, 3, 100]) {
      expect(await inactive(as, "hour", pageSize)).toEqual([...never, ...days40, days8, days2, hours2]);
      expect(await inactive(as, "day", pageSize)).toEqual([...never, ...days40, days8, days2]);
      expect(await inactive(as, "week", pageSize)).toEqual([...never, ...days40, days8]);
      expect(await inactive(as, "month", pageSize)).toEqual([...never, ...days40]);
    }
    expect(await inactive(as, "hour")).not.toContain(exactlyOneHour);
  });

  test("other windows are refused, and another organization's statistics are not found", async () => {
    const { organizationId, as } = await organization();
    const other = await organization();
    for (const window of ["", "8d", "7D", "7d ", "d"]) {
      const fields = [{ field: "window" }];
      await expectReason(identity.call(listTopLogins, { window }, as), "FIELD_INVALID", { fields });
      await expectReason(identity.call(listInactiveUsers, { window }, as), "FIELD_INVALID", { fields });
      const stats = identity.call(getLoginStats, { organizationId, window }, as);
      await expectReason(stats, "FIELD_INVALID", { fields });
    }
    for (const id of [other.organizationId, "nothing"]) {
      const stats = identity.call(getLoginStats, { organizationId: id, window: "7d" }, as);
      await expectReason(stats, "ORGANIZATION_NOT_FOUND");
    }
  });
});
