export { FakeClock } from "./fake-clock.ts";
export { findInStreams } from "./find-in-streams.ts";
export { columnsOf, findInTables } from "./find-in-tables.ts";
export { golden } from "./golden.ts";
export { freePort, PrivateServer } from "./private-server.ts";
export { removeStreams } from "./remove-streams.ts";
export { startServers } from "./servers.ts";
export {
  ENGINES,
  openTestDatabase,
  type TestDatabase,
} from "./test-database.ts";
export { testMysqlUrl, testNatsUrl } from "./test-servers.ts";
export { waitFor } from "./wait-for.ts";
