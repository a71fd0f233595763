// The README's tour and the commands of docs, run as they stand: each command, and the output that it shows.
import { afterAll, beforeAll, expect, test } from "vitest";
import { runPage } from "../harness/console-page.ts";
import { type Installation, startInstallation } from "../harness/installation.ts";

let installation: Installation;
beforeAll(async () => {
  installation = await startInstallation("embedded");
});
afterAll(async () => installation?.stop());

test.each([
  ["README.md", 10],
  ["docs/privacy.md", 10],
  ["docs/accounts.md", 15],
  ["docs/provisioning.md", 4],
])("%s gives the outputs that it shows", { timeout: 120_000 }, async (path, atLeast) => {
  const { shown, real } = await runPage(path, installation);
  expect(shown.length).toBeGreaterThan(atLeast);
  expect(real).toEqual(shown);
});
