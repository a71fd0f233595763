// Compares the metrics that each target registers with the reviewed list: names, types, labels and help.
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { TARGETS } from "@muster/config";
import { golden } from "@muster/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { TargetBuilder } from "./build-target.ts";

const ROOT = resolve(import.meta.dirname, "../..");

let builder: TargetBuilder;

beforeAll(async () => {
  builder = await TargetBuilder.open();
});
afterAll(() => builder?.close());

test("the metrics of every target are those that were reviewed", async () => {
  let text = "";
  const registered = new Set<string>();
  for (const target of TARGETS) {
    text += `${target}\n`;
    const { metrics } = await builder.build(target);
    for (const metric of metrics) {
      registered.add(metric.name);
      text += `  ${metric.name} ${metric.type} {${metric.labelNames.join(", ")}} ${metric.help}\n`;
    }
  }
  await golden("metrics.txt", text);
  expect([...registered].sort()).toEqual(namesInSources());
});

/** Metric names written in the sources, so that a metric of a rare path is found too. */
function namesInSources(): string[] {
  const names = new Set<string>();
  for (const root of ["packages", "services", "apps"]) {
    for (const file of readdirSync(join(ROOT, root), { recursive: true, encoding: "utf8" })) {
      if (!/^[^/]+\/src\/.*\.ts$/.test(file) || file.endsWith(".test.ts") || /\/(gen|testing)\//.test(file))
        continue;
      const text = readFileSync(join(ROOT, root, file), "utf8");
      for (const [, name = ""] of text.matchAll(/"(muster_[a-z_]+)"/g)) names.add(name);
    }
  }
  return [...names].sort();
}
