// Keeps the calls of a connection whose server goes away. After GOAWAY, Node closes the session for pings at once, and
// grpc-js takes the next ping of its keepalive for a lost connection: every call that lasts longer than the keepalive time
// ended with "Connection dropped" (github.com/grpc/grpc-node/issues/3068). Here a session closes after its last stream.
import type { ClientHttp2Session } from "node:http2";
import { Http2SubchannelConnector } from "@grpc/grpc-js/build/src/transport.js";

/** The part of a transport that the library does not declare. */
interface Connected {
  readonly session?: ClientHttp2Session;
}

const { connect } = Http2SubchannelConnector.prototype;

Http2SubchannelConnector.prototype.connect = async function connectAndKeep(...args) {
  const transport = await connect.apply(this, args);
  const { session } = transport as unknown as Connected;
  if (session !== undefined) closeAfterStreams(session);
  return transport;
};

function closeAfterStreams(session: ClientHttp2Session): void {
  const request = session.request.bind(session);
  const close = session.close.bind(session);
  let streams = 0;
  let isLeaving = false;
  session.request = (...args) => {
    const stream = request(...args);
    streams += 1;
    stream.once("close", () => {
      streams -= 1;
      if (isLeaving && streams === 0) close();
    });
    return stream;
  };
  session.close = (callback) => {
    if (callback !== undefined) session.once("close", callback);
    isLeaving = true;
    if (streams === 0) close();
  };
}
