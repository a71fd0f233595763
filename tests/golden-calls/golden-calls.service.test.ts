// Compares responses, outbox rows and changed rows of every method with golden files, on both engines.
import type { DescMethod } from "@bufbuild/protobuf";
import { ENGINES, golden } from "@muster/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { allServices, fullName } from "../coverage/all-services.ts";
import { Recorder, SCRIPT_CALLS } from "./harness/recorder.ts";
import { World } from "./harness/world.ts";
import { scripts } from "./scripts/index.ts";

/** Each script begins on a day of its own. */
const SCRIPT_MS = 24 * 60 * 60 * 1000;
/** Calls run one after the other, and so may take long on a machine with other work. */
const SCRIPT_TIMEOUT_MS = 180_000;

test("every service has a script", async () => {
  const names = (await allServices()).map(({ typeName }) => typeName);
  expect(scripts.map(({ service }) => service.typeName).sort()).toEqual(names.sort());
});

describe.each(ENGINES)("calls on %s", (engine) => {
  let world: World;
  let startMs: number;

  beforeAll(async () => {
    world = await World.open(engine);
    startMs = world.clock.nowMs();
  });
  afterAll(() => world.close());

  test.each(scripts.map((script, index) => [script.service.typeName, script, index] as const))(
    "%s: responses, outbox rows and changed rows equal the golden file",
    async (_, { service, run }, index) => {
      world.clock.setNowMs(startMs + (index + 1) * SCRIPT_MS);
      await world.pass(5000);
      const recorder = await Recorder.open(world, (index + 1) * SCRIPT_CALLS);
      await run(recorder);
      const missing = service.methods.filter((method: DescMethod) => !recorder.recorded.has(method));
      expect(missing.map(fullName)).toEqual([]);
      const module = service.typeName.split(".")[1];
      await golden(`calls/${module}/${service.name}.txt`, recorder.text);
    },
    SCRIPT_TIMEOUT_MS,
  );
});
