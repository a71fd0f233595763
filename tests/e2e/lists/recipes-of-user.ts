// Declares for each paged list that a signed-in user reads how a test adds and removes rows during a walk.
import type { RestClient } from "../../harness/rest.ts";
import { sent } from "./joined-users.ts";
import { idOf, type Recipe } from "./recipe.ts";

/** `login` returns the access token of a new session. `run` makes the names unique. */
export function recipesOfUser(
  rest: RestClient,
  login: () => Promise<string>,
  run: string,
): Record<string, Recipe> {
  return {
    ListSessions: {
      paths: ["/v1/sessions"],
      keyOf: idOf,
      add: async () => sessionOf(await login()),
      remove: async (id) => void (await sent(rest, "DELETE", `/v1/sessions/${id}`)),
    },
    ListActivities: {
      paths: ["/v1/me/activity"],
      keyOf: idOf,
      // A login adds the newest activity.
      add: async () => {
        await login();
        return (await sent(rest, "GET", "/v1/me/activity?page_size=1")).activities[0].id;
      },
    },
    ListOrganizations: {
      paths: ["/v1/organizations"],
      keyOf: idOf,
      add: async (number) => (await sent(rest, "POST", "/v1/organizations", { name: `${run} ${number}` })).id,
    },
  };
}

function sessionOf(accessToken: string): string {
  const [, claims = ""] = accessToken.split(".");
  return JSON.parse(Buffer.from(claims, "base64url").toString("utf8")).sid;
}
