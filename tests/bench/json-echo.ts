// Echoes JSON over node:http in a separate process, to measure the cost of HTTP and JSON alone.
import { createServer } from "node:http";

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    const text = JSON.stringify(JSON.parse(Buffer.concat(chunks).toString()));
    response.writeHead(200, { "content-type": "application/json" }).end(text);
  });
});
server.listen(Number(process.argv[2]), "127.0.0.1");
