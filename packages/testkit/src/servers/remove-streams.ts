// Takes away what a test left on the shared broker.
import { connect } from "nats";
import { testNatsUrl } from "./test-servers.ts";

/** The streams of a bus namespace, of whichever services. */
export async function removeStreams(namespace: string): Promise<void> {
  const connection = await connect({ servers: await testNatsUrl() });
  const manager = await connection.jetstreamManager();
  const prefix = `${namespace}_`.toUpperCase();
  for await (const name of manager.streams.names()) {
    if (name.startsWith(prefix)) await manager.streams.delete(name).catch(() => false);
  }
  await connection.close();
}
