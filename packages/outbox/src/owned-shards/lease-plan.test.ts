// Tests that shares of shards are even, complete and stable while replicas come and go.
import { checkProperty } from "@muster/testkit/check-property";
import fc from "fast-check";
import { expect, it } from "vitest";
import { type LeaseRow, planLeases } from "./lease-plan.ts";

const SHARDS = Array.from({ length: 16 }, (_, shard) => shard);

it("gives every shard exactly one owner, evenly, within a few ticks of any change of members", async () => {
  const members = fc.uniqueArray(fc.constantFrom("a", "b", "c", "d", "e", "f"), { minLength: 1 });
  const start = fc.array(fc.constantFrom("", "a", "b", "gone"), { minLength: 16, maxLength: 16 });
  await checkProperty(
    fc.property(members, start, fc.boolean(), (alive, owners, hasExpired) => {
      const nowMs = 1_000;
      const isDead = (owner: string): boolean => !alive.some((name) => name === owner);
      let rows: LeaseRow[] = SHARDS.map((shard) => {
        const owner = owners[shard] ?? "";
        const lasts = !isDead(owner) || (owner !== "" && !hasExpired);
        return { shard, owner, leaseUntilMs: lasts ? nowMs + 1 : nowMs };
      });
      for (let tick = 0; tick < 3; tick += 1) {
        for (const owner of alive) {
          const plan = planLeases(rows, { owner, nowMs, aliveCount: alive.length });
          for (const shard of plan.take) {
            const row = rows[shard];
            // Never a shard whose owner may still be active.
            expect(row?.owner === "" || (row?.leaseUntilMs ?? 0) <= nowMs).toBe(true);
          }
          rows = rows.map((row) => {
            if (plan.take.includes(row.shard)) return { ...row, owner, leaseUntilMs: nowMs + 1 };
            return plan.release.includes(row.shard) ? { ...row, owner: "", leaseUntilMs: 0 } : row;
          });
        }
      }
      const share = Math.ceil(16 / alive.length);
      const counts = alive.map((owner) => rows.filter((row) => row.owner === owner).length);
      expect(Math.max(...counts)).toBeLessThanOrEqual(share);
      const held = rows.filter((row) => row.owner === "gone" && !hasExpired).length;
      const foreign = rows.filter((row) => isDead(row.owner) && row.owner !== "gone").length;
      if (held === 0 && foreign === 0) expect(counts.reduce((sum, count) => sum + count)).toBe(16);
      // Once balanced, no shard moves.
      for (const owner of alive) {
        const plan = planLeases(rows, { owner, nowMs, aliveCount: alive.length });
        expect([...plan.take, ...plan.release]).toEqual([]);
      }
    }),
  );
});
