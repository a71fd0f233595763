export { withClock } from "./clocked-database.ts";
export { CrashingDatabase } from "./crashing-database.ts";
export { FakeClock } from "./fake-clock.ts";
export { columnsOf, findInTables } from "./find-in-tables.ts";
export { golden } from "./golden.ts";
export { findInStreams } from "./servers/find-in-streams.ts";
export { freePort } from "./servers/free-port.ts";
export { startMysqlServer } from "./servers/mysql-server.ts";
export { startNatsServer } from "./servers/nats-server.ts";
export { oathtoolCode } from "./servers/oathtool.ts";
export { PrivateServer } from "./servers/private-server.ts";
export { removeStreams } from "./servers/remove-streams.ts";
export { startServers } from "./servers/servers.ts";
export { testMysqlUrl, testNatsUrl } from "./servers/test-servers.ts";
export {
  ENGINES,
  openTestDatabase,
  type TestDatabase,
} from "./test-database.ts";
export { waitFor } from "./wait-for.ts";
export { WatchedDatabase } from "./watched-database.ts";
