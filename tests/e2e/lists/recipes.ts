// Declares for each paged list that an API key reads how a test adds and removes rows during a walk over REST.
import type { RestClient } from "../../harness/rest.ts";
import { type JoinedUsers, type Row, sent } from "./joined-users.ts";
import { idOf, type Recipe } from "./recipe.ts";

/** Lists that an API key reads. `run` makes the names unique. */
export async function recipesOfKey(
  rest: RestClient,
  users: JoinedUsers,
  run: string,
): Promise<Record<string, Recipe>> {
  const post = (path: string, body: object): Promise<Row> => sent(rest, "POST", path, body);
  const removing = (path: string) => async (key: string) =>
    void (await sent(rest, "DELETE", `${path}/${key}`));
  const profile = await post("/v1/profiles", { user_id: `${run} profile` });
  await post("/v1/events", { user_id: `${run} profile`, name: `${run}.any` });
  const members = await post("/v1/segments", {
    name: `${run} members`,
    event_name: `${run}.member`,
    min_count: 1,
  });
  const rule = { performed: { event_name: `${run}.any`, count: { at_least: 1 } } };
  await post("/v1/alert-rules", {
    code: 5_000,
    name: `${run} rule`,
    kind: "threshold",
    event_name: `${run}.paid`,
    property: "amount",
    threshold: "1.00",
  });
  return {
    ListProfiles: {
      paths: ["/v1/profiles"],
      keyOf: idOf,
      add: async (number) => (await post("/v1/profiles", { user_id: `${run} ${number}` })).id,
      remove: removing("/v1/profiles"),
    },
    ListEvents: {
      paths: [`/v1/profiles/${profile.id}/events`, `/v1/profiles/${profile.id}/events?name=${run}.walked`],
      keyOf: ({ id }) => id,
      // Three instants in turns, so that new events come before and after the page.
      add: async (number) => {
        const timestamp = new Date(Date.UTC(2025, 0, 1) + (number % 3) * 1_000).toISOString();
        const event = {
          user_id: `${run} profile`,
          name: `${run}.walked`,
          timestamp,
          event_id: `${run} ${number}`,
        };
        return (await post("/v1/events", event)).id;
      },
    },
    ListSegments: {
      paths: ["/v1/segments"],
      keyOf: idOf,
      add: async (number) => (await post("/v1/segments", { name: `${run} ${number}`, rule })).id,
      remove: removing("/v1/segments"),
    },
    ListSegmentMembers: {
      paths: [`/v1/segments/${members.id}/profiles`],
      keyOf: idOf,
      add: async (number) => {
        const { id } = await post("/v1/profiles", { user_id: `${run} member ${number}` });
        await post("/v1/events", { user_id: `${run} member ${number}`, name: `${run}.member` });
        return id;
      },
      remove: removing("/v1/profiles"),
    },
    ListProfileSegments: {
      paths: [`/v1/profiles/${profile.id}/segments`],
      keyOf: idOf,
      add: async (number) => (await post("/v1/segments", { name: `${run} of profile ${number}`, rule })).id,
      remove: removing("/v1/segments"),
    },
    ListEventTypes: {
      paths: ["/v1/event-types"],
      keyOf: ({ name }) => name,
      add: async (number) => (await post("/v1/event-types", { name: `${run} ${number}`, price: 1 })).name,
      remove: async (name) => removing("/v1/event-types")(encodeURIComponent(name)),
    },
    ListAlertRules: {
      paths: ["/v1/alert-rules"],
      keyOf: idOf,
      add: async (number) => {
        const values = {
          kind: "threshold",
          event_name: `${run}.other`,
          property: "amount",
          threshold: "1.00",
        };
        return (await post("/v1/alert-rules", { code: 6_000 + number, name: `${run} ${number}`, ...values }))
          .id;
      },
      remove: removing("/v1/alert-rules"),
    },
    ListAlerts: {
      paths: ["/v1/alerts"],
      keyOf: ({ event_id }) => event_id,
      add: async (number) => {
        const event = { user_id: `${run} payer`, name: `${run}.paid`, properties: { amount: 2 + number } };
        return (await post("/v1/events", event)).id;
      },
    },
    ListErasures: {
      paths: ["/v1/erasures"],
      keyOf: idOf,
      add: async (number) => {
        const { id } = await post("/v1/profiles", { user_id: `${run} erased ${number}` });
        const erased = await rest.request("DELETE", `/v1/profiles/${id}`);
        return erased.headers.get("muster-erasure-id") ?? "";
      },
    },
    ListInactiveUsers: {
      paths: ["/v1/users/inactive?window=hour", "/v1/users/inactive?window=month"],
      keyOf: idOf,
      // An invited member has never signed in.
      add: async (number) => {
        const email = `inactive.${run}.${number}@example.test`;
        return (await post("/v1/users", { email, name: `Inactive ${number}`, role: "member" })).id;
      },
      remove: removing("/v1/users"),
    },
    // Requests are receipts, so no call removes one.
    ListDeletionRequests: {
      paths: ["/v1/deletion-requests"],
      keyOf: idOf,
      add: async (number) => {
        const email = `erased.${run}.${number}@example.test`;
        const { id } = await post("/v1/users", { email, name: `Erased ${number}`, role: "member" });
        return (await post(`/v1/users/${id}/deletion-requests`, {})).id;
      },
    },
    ListInvitations: {
      paths: ["/v1/invitations"],
      keyOf: idOf,
      add: async (number) => {
        const email = `invited.${run}.${number}@example.test`;
        return (await post("/v1/invitations", { email, role: "member" })).id;
      },
      remove: removing("/v1/invitations"),
    },
    ListTopLogins: {
      paths: ["/v1/users/top-logins?window=7d", "/v1/users/top-logins?window=30d"],
      keyOf: ({ user }) => user.id,
      // Half of the users have the same count.
      add: (number) => users.join(1 + (number % 2)),
      remove: removing("/v1/users"),
    },
    ListTrackedUserPoints: {
      paths: ["/v1/users/events"],
      keyOf: ({ userId }) => userId,
      add: async (number) => {
        const user_id = `${run} points ${number}`;
        await post("/v1/users/events", { user_id, event_type: "LOGIN", timestamp: number });
        return user_id;
      },
      hasFixedPages: true,
    },
    ListUsers: {
      paths: [
        "/v1/users",
        "/v1/users?sort=-name",
        "/v1/users?sort=last_login_at,name",
        "/v1/users?sort=-last_login_at&filter=name==*walk*",
        `/v1/users?q=${run}`,
        `/v1/users?q=walk%20${run}&filter=status==invited`,
      ],
      keyOf: idOf,
      add: async (number) => {
        const email = `walk.${run}.${number}@example.com`;
        return (await post("/v1/users", { email, name: `Walk ${run} ${number % 3}`, role: "member" })).id;
      },
      remove: removing("/v1/users"),
    },
  };
}
