// Finds the worker that deletes expired data in a running module.
import type { ModuleUnderTest } from "@muster/testkit/module";
import { ExpiredDataWorker } from "../../src/account/expired-data-worker.ts";

export function expiredDataWorker({ module }: Pick<ModuleUnderTest, "module">): ExpiredDataWorker {
  const worker = module.workers.find((one) => one instanceof ExpiredDataWorker);
  if (worker === undefined) throw new Error("the module deletes no expired data");
  return worker;
}
