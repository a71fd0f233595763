// Declares how a test adds and removes API keys during walks of all keys and of the keys of a maker.
import { RestClient } from "../../harness/rest.ts";
import { sent } from "./joined-users.ts";
import { idOf, type Recipe } from "./recipe.ts";

/** The user creates an organization, whose keys all have this user as their maker. */
export async function recipeOfApiKeys(url: string, user: RestClient, run: string): Promise<Recipe> {
  const { id } = await sent(user, "POST", "/v1/organizations", { name: `${run} with keys` });
  const request = { organization_id: id };
  const { access_token } = await sent(user, "POST", "/v1/token:switch-organization", request);
  const owner = new RestClient({ url, apiKey: access_token });
  const me = await sent(owner, "GET", "/v1/me");
  const { secret } = await sent(owner, "POST", "/v1/api-keys", { name: run, scopes: ["*"] });
  // No access token, because a walk of many lists takes longer than such a token lives.
  const client = new RestClient({ url, apiKey: secret });
  return {
    client,
    paths: ["/v1/api-keys", `/v1/api-keys?created_by=${me.id}`],
    keyOf: idOf,
    add: async (number) => {
      const key = { name: `${run} ${number}`, scopes: ["events.read"] };
      return (await sent(client, "POST", "/v1/api-keys", key)).api_key.id;
    },
    remove: async (key) => void (await sent(client, "DELETE", `/v1/api-keys/${key}`)),
  };
}
