export { countingIds } from "./counting-ids.ts";
export { FakeClock } from "./fake-clock.ts";
export { golden } from "./golden.ts";
export { freePort, PrivateServer, type ServerPlan } from "./private-server.ts";
export { type Servers, type ServersOptions, startServers } from "./servers.ts";
export {
  ENGINES,
  openTestDatabase,
  type TestDatabase,
  type TestDatabaseOptions,
} from "./test-database.ts";
export { testMysqlUrl, testNatsUrl } from "./test-servers.ts";
export { type WaitOptions, waitFor } from "./wait-for.ts";
