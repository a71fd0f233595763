// Walks every paged list in pages of two rows while rows come and go: a walk repeats nothing and skips nothing that
// was there throughout. The lists come from descriptors, so that a list without a recipe fails.
import { Access } from "@muster/contracts/muster/options/v1/options_pb";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { allServices, policyOf } from "../../coverage/all-services.ts";
import { type Installation, type Mode, startInstallation } from "../../harness/installation.ts";
import { Mailbox } from "../../harness/mailbox.ts";
import { RestClient } from "../../harness/rest.ts";
import { JoinedUsers } from "./joined-users.ts";
import type { Recipe } from "./recipe.ts";
import { recipeOfApiKeys } from "./recipe-of-api-keys.ts";
import { recipesOfKey } from "./recipes.ts";
import { recipesOfUser } from "./recipes-of-user.ts";

const SEEDED = 7;
/** Pages between which rows come and go. Rows added ahead lengthen the walk, so that it must stop some time. */
const CHANGED_PAGES = 4;
const START_MS = 180_000;
/** The limits of rules bound the dependencies of a segment. */
const UNPAGED = ["ListSegmentDependencies"];

const all = (await allServices())
  .flatMap((service) => service.methods)
  .filter((method) => method.name.startsWith("List") && policyOf(method).access !== Access.INTERNAL);
const lists = all.filter(({ name }) => !UNPAGED.includes(name));

test("every list has pages, except those of a bounded number of rows", () => {
  const unpaged = all.filter(({ input }) => input.field.pageToken === undefined);
  expect(unpaged.map(({ name }) => name)).toEqual(UNPAGED);
});

describe.each<Mode>(["embedded", "production"])("lists in %s mode", (mode) => {
  let mails: Mailbox;
  let installation: Installation;
  let key: RestClient;
  let user: RestClient;
  let ofKey: Record<string, Recipe> = {};
  let ofUser: Record<string, Recipe> = {};
  let added = 0;

  beforeAll(async () => {
    mails = await Mailbox.open(mode);
    const variables = { ...mails.variables, MUSTER_MAX_ORGANIZATIONS_PER_USER: "100" };
    installation = await startInstallation(mode, variables);
    mails.attach(installation);
    key = new RestClient(installation);
    const run = `w${Date.now().toString(36)}`;
    const users = new JoinedUsers(installation.url, key, mails, run);
    ofKey = await recipesOfKey(key, users, run);
    const login = await users.newLogin();
    user = new RestClient({ url: installation.url, apiKey: await login() });
    ofUser = {
      ...recipesOfUser(user, login, run),
      ListApiKeys: await recipeOfApiKeys(installation.url, user, run),
    };
  }, START_MS);
  afterAll(async () => {
    await installation?.stop();
    await mails?.close();
  });

  test("every recipe is of a list", () => {
    const names = lists.map(({ name }) => name);
    for (const name of Object.keys({ ...ofKey, ...ofUser })) expect(names).toContain(name);
  });

  test.each(lists.map(({ name }) => name))("%s", { timeout: 60_000 }, async (name) => {
    const recipe = ofUser[name] ?? ofKey[name];
    if (recipe === undefined) throw new Error(`${name} has no recipe: add one to tests/e2e/lists/recipes.ts`);
    const client = recipe.client ?? (ofUser[name] === undefined ? key : user);
    const seeded: string[] = [];
    for (let index = 0; index < SEEDED; index += 1) seeded.push(await add(recipe));
    const rows = new Set(seeded);
    for (const path of recipe.paths) await walkWithChanges(client, recipe, path, rows);
  });

  async function add(recipe: Recipe): Promise<string> {
    added += 1;
    return recipe.add(added);
  }

  /** `rows` has the rows that the test added and did not remove. */
  async function walkWithChanges(client: RestClient, recipe: Recipe, path: string, rows: Set<string>) {
    const atStart = [...rows];
    const seen: string[] = [];
    let pages = 0;
    let token = "";
    do {
      const page = await readPage(client, recipe, path, token);
      seen.push(...page.rows.map(recipe.keyOf));
      token = page.token;
      pages += 1;
      if (pages > CHANGED_PAGES || token === "") continue;
      rows.add(await add(recipe));
      // In turns a row of the pages before, and a row of the pages to come.
      const victim = atStart.find((row) => rows.has(row) && seen.includes(row) === (pages % 2 === 1));
      if (recipe.remove === undefined || victim === undefined) continue;
      await recipe.remove(victim);
      rows.delete(victim);
    } while (token !== "");
    expect(seen, `${path} repeats nothing`).toHaveLength(new Set(seen).size);
    const missing = atStart.filter((row) => rows.has(row) && !seen.includes(row));
    expect(missing, `${path} skips nothing`).toEqual([]);
    if (recipe.hasFixedPages !== true) expect(pages).toBeGreaterThan(SEEDED / 2 - 1);
  }
});

async function readPage(client: RestClient, recipe: Recipe, path: string, token: string) {
  const query = [
    ...(recipe.hasFixedPages === true ? [] : ["page_size=2"]),
    `page_token=${encodeURIComponent(token)}`,
  ].join("&");
  const { status, body, text } = await client.get(`${path}${path.includes("?") ? "&" : "?"}${query}`);
  expect(status, text).toBe(200);
  const rows = Object.values(body).find(Array.isArray) as unknown[];
  if (recipe.hasFixedPages !== true) expect(rows.length).toBeLessThanOrEqual(2);
  return { rows, token: body.next_page_token as string };
}
