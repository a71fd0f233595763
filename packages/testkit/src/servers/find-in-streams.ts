// Searches a bus namespace on the shared broker for bytes.
import { connect } from "nats";
import { testNatsUrl } from "./test-servers.ts";

/** "STREAM/sequence" of every message that contains the text. */
export async function findInStreams(namespace: string, text: string | Uint8Array): Promise<string[]> {
  const found: string[] = [];
  const connection = await connect({ servers: await testNatsUrl() });
  const manager = await connection.jetstreamManager();
  const prefix = `${namespace}_`.toUpperCase();
  for await (const name of manager.streams.names()) {
    if (!name.startsWith(prefix)) continue;
    const { state } = await manager.streams.info(name);
    for (let seq = state.first_seq; seq <= state.last_seq; seq += 1) {
      // Purged sequences have no message.
      const message = await manager.streams.getMessage(name, { seq }).catch(() => undefined);
      if (
        message !== undefined &&
        Buffer.from(message.data).includes(typeof text === "string" ? text : Buffer.from(text))
      )
        found.push(`${name}/${seq}`);
    }
  }
  await connection.close();
  return found;
}
