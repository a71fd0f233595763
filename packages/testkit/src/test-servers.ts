// Where the tests' MariaDB and NATS are.

/** mysql://…, of a server on which tests make and drop databases. */
export async function testMysqlUrl(): Promise<string> {
  return process.env.MUSTER_TEST_MYSQL_URL ?? "mysql://root@127.0.0.1:13306";
}

/** nats://…, with JetStream on. */
export async function testNatsUrl(): Promise<string> {
  return process.env.MUSTER_TEST_NATS_URL ?? "nats://127.0.0.1:14222";
}
