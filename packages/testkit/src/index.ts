export { countingIds } from "./counting-ids.ts";
export { FakeClock } from "./fake-clock.ts";
export { golden } from "./golden.ts";
export {
  ENGINES,
  openTestDatabase,
  type TestDatabase,
  type TestDatabaseOptions,
} from "./test-database.ts";
export { testMysqlUrl, testNatsUrl } from "./test-servers.ts";
export { type WaitOptions, waitFor } from "./wait-for.ts";
