// The main job on a file, as a newcomer does it, in both modes: import, define a segment, read its
// members. The counts must equal those of awk over the same file.
import { execFileSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Installation, type Mode, startInstallation } from "../harness/installation.ts";
import { runMuster } from "../harness/process.ts";
import { RestClient } from "../harness/rest.ts";

const EVENTS = 5_000;
const VIEWED_3_TIMES = '$3=="product.viewed"{n[$2]++} END{for(u in n)if(n[u]>=3)c++; print c+0}';
const ABANDONED =
  '$3=="cart.added"&&$1>a[$2]{a[$2]=$1} $3=="order.completed"&&$1>b[$2]{b[$2]=$1} END{for(u in a)if(a[u]>b[u])c++; print c+0}';

function awk(program: string, path: string): number {
  return Number(execFileSync("awk", ["-F,", program, path], { encoding: "utf8" }));
}

describe.each<Mode>(["embedded", "production"])("%s mode", (mode) => {
  let installation: Installation;
  let rest: RestClient;
  const path = join(tmpdir(), `muster-shop-${process.pid}-${mode}.csv`);

  beforeAll(async () => {
    installation = await startInstallation(mode);
    rest = new RestClient(installation);
    const made = await runMuster(["demo-data", "--events", String(EVENTS), "--seed", "3", "-o", path], {});
    expect(made.code, made.stderr).toBe(0);
  });
  afterAll(async () => installation?.stop());

  const runImport = (file: string, args: readonly string[] = [], input?: string) =>
    runMuster(
      ["import", file, "--url", installation.url, "--api-key", installation.apiKey, ...args],
      {},
      input,
    );

  test("an imported history gives the counts of awk, and importing it again changes nothing", async () => {
    await rest.post("/v1/segments", { name: "Viewers", event_name: "product.viewed", min_count: 3 });
    const first = await runImport(path);
    expect([first.code, first.stdout]).toEqual([0, `${EVENTS} stored, 0 already there, 0 bad\n`]);
    const counts = async (): Promise<number[]> => [
      (await rest.get("/v1/segments/viewers")).body.member_count,
      (await rest.all("/v1/segments/viewers/profiles", "profiles")).length,
      (await rest.all("/v1/segments/abandoned-cart/profiles", "profiles")).length,
    ];
    const viewers = awk(VIEWED_3_TIMES, path);
    const abandoned = awk(ABANDONED, path);
    expect(viewers).toBeGreaterThan(50);
    expect(abandoned).toBeGreaterThan(20);
    expect(await counts()).toEqual([viewers, viewers, abandoned]);
    const again = await runImport("-", [], await readFile(path, "utf8"));
    expect([again.code, again.stdout]).toEqual([0, `0 stored, ${EVENTS} already there, 0 bad\n`]);
    expect(await counts()).toEqual([viewers, viewers, abandoned]);
  });

  test("address and key come from the environment, and a refused key is named by its source", async () => {
    const variables = { MUSTER_URL: installation.url };
    const good = { ...variables, MUSTER_API_KEY: installation.apiKey };
    const again = await runMuster(["import", path], good);
    expect([again.code, again.stdout]).toEqual([0, `0 stored, ${EVENTS} already there, 0 bad\n`]);
    const refused = await runMuster(["import", path], { ...variables, MUSTER_API_KEY: "mk_not_a_key" });
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain(`${installation.url} returned 401: `);
    expect(refused.stderr).toContain(
      "The key mk_not… came from MUSTER_API_KEY. Give another with --api-key or MUSTER_API_KEY.",
    );
    const flagged = await runMuster(["import", path, "--api-key", "mk_other"], good);
    expect(flagged.stderr).toContain("The key mk_oth… came from --api-key.");
  });

  test("without a key, the key of the data folder is used; without that, the message says what to give", async () => {
    const { MUSTER_DATA_DIR: dataDir } = installation.variables;
    if (dataDir !== undefined) {
      const found = await runMuster(["import", path], {
        MUSTER_URL: installation.url,
        MUSTER_DATA_DIR: dataDir,
      });
      expect([found.code, found.stdout]).toEqual([0, `0 stored, ${EVENTS} already there, 0 bad\n`]);
    }
    const none = await runMuster(["import", path], { MUSTER_DATA_DIR: join(tmpdir(), "no-such-folder") });
    expect(none.code).toBe(1);
    expect(none.stderr).toContain(
      "no-such-folder/demo-api-key does not exist. Give --api-key or MUSTER_API_KEY",
    );
  });

  test("bad lines are reported by number while the import continues", async () => {
    const bad = join(tmpdir(), `muster-bad-${process.pid}-${mode}.csv`);
    await writeFile(
      bad,
      "event_time,event_type,user_id,price\n2019-10-01 00:00:00 UTC,view,u1,1.5\nnever,view,u1,1\n2019-10-01 00:00:00 UTC,view,,1\n2019-10-01 00:00:01 UTC,view,u1\n2019-10-01 00:00:02 UTC,cart,u1,2\n",
    );
    const result = await runImport(bad, ["--map", "view=seen", "--number", "price"]);
    expect([result.code, result.stdout]).toEqual([1, "2 stored, 0 already there, 3 bad\n"]);
    expect(result.stderr.split("\n").filter((line) => line.startsWith("line"))).toEqual([
      'line 3: "never" is no time',
      "line 4: no user in column user_id",
      "line 5: 3 columns where the header has 4",
    ]);
    const profile = (await rest.get("/v1/profiles?user_id=u1")).body.profiles[0];
    const events = await rest.all(`/v1/profiles/${profile.id}/events`, "events");
    expect(events.map((event) => [event.name, event.properties])).toEqual([
      ["cart", { price: 2 }],
      ["seen", { price: 1.5 }],
    ]);
  });

  test("a wrong key stops the import with a message", async () => {
    const result = await runMuster(["import", path, "--url", installation.url, "--api-key", "mk_wrong"], {});
    expect(result.code).not.toBe(0);
    expect(result.stderr).toContain("401");
    expect(result.stderr).not.toContain("    at ");
  });
});
