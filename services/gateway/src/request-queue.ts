// Runs the requests of a connection in turn: a request starts once the previous response is written. A client
// that pipelines requests and reads no response then holds a single response in memory.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";

interface Connection {
  /** The response in progress. */
  current: ServerResponse | undefined;
  readonly waiting: { readonly response: ServerResponse; readonly start: () => void }[];
}

export class RequestQueue {
  readonly #waitingMax: number;
  readonly #connections = new WeakMap<object, Connection>();

  /** A connection on which more than `waitingMax` requests wait is cut. */
  constructor(waitingMax: number) {
    this.#waitingMax = waitingMax;
  }

  /** Calls `start` now, or after the earlier requests of the connection. */
  add({ socket }: IncomingMessage, response: ServerResponse, start: () => void): void {
    // Node still parses the rest of a chunk whose connection was cut.
    if (socket.destroyed) return;
    const connection = this.#connectionOf(socket);
    if (connection.waiting.length >= this.#waitingMax) {
      socket.destroy();
      return;
    }
    response.once("close", () => this.#next(socket, connection));
    if (connection.current === undefined) {
      connection.current = response;
      start();
    } else connection.waiting.push({ response, start });
  }

  /** The response in progress on the connection; no other bytes may be mixed into it. */
  currentOf(socket: object): ServerResponse | undefined {
    return this.#connections.get(socket)?.current;
  }

  #connectionOf(socket: Socket): Connection {
    let connection = this.#connections.get(socket);
    if (connection === undefined) {
      connection = { current: undefined, waiting: [] };
      this.#connections.set(socket, connection);
    }
    return connection;
  }

  #next(socket: Socket, connection: Connection): void {
    // The client has left, so the waiting requests have no reader.
    if (socket.destroyed) connection.waiting.length = 0;
    const next = connection.waiting.shift();
    connection.current = next?.response;
    next?.start();
  }
}
