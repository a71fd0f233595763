// Merges two profiles and undoes the merge over REST: lists, summaries, points, alerts and segments move as
// if the profiles had always been one.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Installation, type Mode, startInstallation } from "../harness/installation.ts";
import { RestClient } from "../harness/rest.ts";

describe.each<Mode>(["embedded", "production"])("%s mode", (mode) => {
  let installation: Installation;
  let rest: RestClient;
  beforeAll(async () => {
    installation = await startInstallation(mode);
    rest = new RestClient(installation);
  });
  afterAll(async () => installation?.stop());

  async function made(fields: object): Promise<string> {
    const response = await rest.post("/v1/profiles", fields);
    expect(response.status, response.text).toBe(201);
    return response.body.id;
  }
  async function ok(path: string, body: object, status = 200) {
    const response = await rest.post(path, body);
    expect(response.status, response.text).toBe(status);
    return response.body;
  }
  async function read(path: string) {
    const response = await rest.get(path);
    expect(response.status, response.text).toBe(200);
    return response.body;
  }

  test("whatever was recorded for either is the person's, until it is undone", async () => {
    const laptop = await made({ user_id: "501", name: "Ada", traits: { plan: "free", seats: 3 } });
    const phone = await made({
      user_id: "502",
      email: "ada@example.com",
      traits: { plan: "pro", phone: true },
    });
    await ok("/v1/segments", { name: "Merged fans", event_name: "merged.viewed", min_count: 3 }, 201);
    for (const user_id of ["501", "502", "502"])
      await ok("/v1/events", { user_id, name: "merged.viewed" }, 201);
    for (const [user_id, name] of [
      ["501", "Home"],
      ["502", "Pricing"],
      ["502", "Pricing"],
    ])
      await ok("/v1/page", { user_id, name }, 201);
    for (const user_id of ["501", "502"])
      await ok("/v1/users/events", { user_id, event_type: "PURCHASE", timestamp: 1 }, 201);
    for (const [user_id, time] of [
      [501, 1],
      [502, 2],
    ])
      await ok("/api/events", { type: "withdraw", amount: "5.00", user_id, time });

    const seen = async (id: string, user: string) => ({
      events: (await read(`/v1/profiles/${id}/events?name=merged.viewed`)).events.length,
      pages: (await read(`/v1/user/${user}`)).number_pages_viewed_in_the_last_7_days,
      page: (await read(`/v1/user/${user}`)).most_viewed_page_in_last_7_days,
      points: (await read(`/v1/users/events?user_id=${user}`)).data[0].points,
      segments: (await read(`/v1/profiles/${id}/segments`)).segments.map(
        ({ slug }: { slug: string }) => slug,
      ),
    });
    const apart = [await seen(laptop, "501"), await seen(phone, "502")];
    expect(apart).toMatchObject([
      { events: 1, pages: 1, page: "Home", points: 10, segments: [] },
      { events: 2, pages: 2, page: "Pricing", points: 10, segments: [] },
    ]);

    const person = await ok(`/v1/profiles/${phone}:merge`, { into: laptop });
    expect(person).toMatchObject({
      id: laptop,
      user_id: "501",
      email: "ada@example.com",
      name: "Ada",
      traits: { plan: "free", seats: 3, phone: true },
    });
    const together = { events: 3, pages: 3, page: "Pricing", points: 20, segments: ["merged-fans"] };
    for (const [id, user] of [
      [laptop, "501"],
      [phone, "502"],
      [laptop, "502"],
    ] as const) {
      expect(await read(`/v1/profiles/${id}`)).toEqual(person);
      expect(await seen(id, user)).toEqual(together);
    }
    const members = await read("/v1/segments/merged-fans/profiles");
    expect(members.profiles.map(({ id }: { id: string }) => id)).toEqual([laptop]);
    // Three withdrawals in a row, of the same root profile.
    const third = await ok("/api/events", { type: "withdraw", amount: "5.00", user_id: 502, time: 3 });
    expect(third.alert_codes).toEqual([30]);

    expect((await ok(`/v1/profiles/${phone}:unmerge`, {})).id).toBe(phone);
    expect([await seen(laptop, "501"), await seen(phone, "502")]).toEqual(apart);
    expect((await read("/v1/segments/merged-fans/profiles")).profiles).toEqual([]);
    const alone = await ok("/api/events", { type: "withdraw", amount: "5.00", user_id: 501, time: 4 });
    expect(alone.alert_codes).toEqual([]);
  });

  test("a merge or undo that is refused gives its reason", async () => {
    const [one, two] = [await made({ user_id: "a" }), await made({ user_id: "b" })];
    const refused = async (path: string, body: object, status: number, reason: string) => {
      const response = await rest.post(path, body);
      expect([response.status, response.body.reason]).toEqual([status, reason]);
    };
    await refused(`/v1/profiles/${one}:merge`, { into: one }, 400, "FIELD_INVALID");
    await refused(`/v1/profiles/${one}:unmerge`, {}, 409, "PROFILE_NOT_MERGED");
    await ok(`/api/profiles/${one}:merge`, { into: two });
    await refused(`/v1/profiles/${two}:merge`, { into: one }, 409, "PROFILE_MERGED_BEFORE");
    // A request as sent by clients without a body.
    const bare = await rest.request("POST", `/v1/profiles/${one}:unmerge`);
    expect(bare.status, bare.text).toBe(200);
  });
});
