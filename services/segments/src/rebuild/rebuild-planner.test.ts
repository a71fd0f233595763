import { expect, test } from "vitest";
import { ChunkSize } from "./rebuild-planner.ts";

test("a chunk shrinks with a long write transaction, although the step is within its target", () => {
  const size = new ChunkSize(1000);
  const before = size.profiles;
  size.adjust({ stepMs: 100, writeMs: 90 });
  expect(size.profiles).toBe(before / 2);
  size.adjust({ stepMs: 60, writeMs: 40 });
  expect(size.profiles).toBe(before / 2);
  size.adjust({ stepMs: 40, writeMs: 20 });
  expect(size.profiles).toBe(before);
  for (let step = 0; step < 12; step += 1) size.adjust({ stepMs: 1000, writeMs: 1000 });
  expect(size.profiles).toBe(1);
});
