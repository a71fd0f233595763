import type { AddressInfo, Socket } from "node:net";
import { createServer, type Server } from "node:net";
import { waitFor } from "@muster/testkit";
import { MailServer } from "@muster/testkit/mail-server";
import { afterEach, expect, test } from "vitest";
import type { Mail } from "./mail.ts";
import { type SmtpTimeouts, SmtpTransport } from "./smtp-transport.ts";

const FROM = "Muster <no-reply@muster.test>";
const mail: Mail = {
  id: "0190a5b4-0000-7000-8000-000000000001",
  createTimeMs: Date.UTC(2026, 10, 30, 16, 5),
  to: "Zoë+tag@example.test",
  subject: "Prüfen",
  text: `Hello Zoë,\n\nhttps://app.test/m/verify-email#token=${"t".repeat(120)}\n`,
  html: "<p>Hello Zoë</p>",
};

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function mailServer(options?: Parameters<typeof MailServer.start>[0]): Promise<MailServer> {
  const server = await MailServer.start(options);
  closers.push(() => server.stop());
  return server;
}

function transport(url: string, timeouts?: Partial<SmtpTimeouts>): SmtpTransport {
  const opened = new SmtpTransport({ url, from: FROM, ...(timeouts && { timeouts }) });
  closers.push(() => opened.close());
  return opened;
}

/** A server that does with each connection what a mail server should not. */
async function badServer(onConnection: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    onConnection(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return `smtp://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test("a delivered mail has the text, the addresses, and a Message-ID made from its id", async () => {
  const server = await mailServer();
  const smtp = transport(server.url);
  await smtp.send(mail);
  await smtp.send(mail);
  const [first, second] = server.received;
  expect(first?.recipients).toEqual([mail.to]);
  expect(first?.parsed).toMatchObject({
    messageId: `<${mail.id}@muster.test>`,
    subject: mail.subject,
    text: mail.text,
    html: expect.stringContaining(mail.html),
    date: new Date(mail.createTimeMs),
    from: { value: [{ name: "Muster", address: "no-reply@muster.test" }] },
    to: { value: [{ name: "", address: mail.to }] },
  });
  expect(first?.parsed.headers.get("auto-submitted")).toBe("auto-generated");
  expect(second?.parsed.messageId).toBe(first?.parsed.messageId);
});

test("login and password come from the URL; a wrong login is an outage, not a refused mail", async () => {
  const server = await mailServer({ login: { user: "us er", password: "p@ss/word" } });
  await transport(`smtp://us%20er:p%40ss%2Fword@127.0.0.1:${server.port}`).send(mail);
  expect(server.received.length).toBe(1);
  await expect(transport(`smtp://us%20er:wrong@127.0.0.1:${server.port}`).send(mail)).rejects.toMatchObject({
    kind: "outage",
    code: "535",
  });
  await expect(transport(server.url).send(mail)).rejects.toMatchObject({ kind: "outage", code: "530" });
});

test("refusals of a recipient or a content concern the mail; refusals of the sender and 421 do not", async () => {
  const server = await mailServer();
  const smtp = transport(server.url);
  const text = `<${mail.to}> is unknown`;
  server.onRecipient = () => ({ code: 550, text });
  await expect(smtp.send(mail)).rejects.toMatchObject({ kind: "refused", code: "550" });
  server.onRecipient = () => ({ code: 450, text });
  await expect(smtp.send(mail)).rejects.toMatchObject({ kind: "deferred", code: "450" });
  server.onRecipient = () => ({ code: 421, text });
  await expect(smtp.send(mail)).rejects.toMatchObject({ kind: "outage", code: "421" });
  server.onRecipient = () => undefined;
  server.onMail = () => ({ code: 552, text });
  await expect(smtp.send(mail)).rejects.toMatchObject({ kind: "refused", code: "552" });
  server.onMail = () => ({ code: 451, text });
  await expect(smtp.send(mail)).rejects.toMatchObject({ kind: "deferred", code: "451" });
  server.onSender = () => ({ code: 553, text });
  const failure = await smtp.send(mail).catch((error: unknown) => error);
  expect(failure).toMatchObject({ kind: "outage", code: "553" });
  // The response quotes the address; the message, which logs show, does not.
  expect(String(failure)).not.toContain("example.test");
});

test("a server that is away is an outage, and the next mail goes out once it is back", async () => {
  const server = await mailServer();
  const smtp = transport(server.url);
  await smtp.send(mail);
  await server.stop();
  await expect(smtp.send(mail)).rejects.toMatchObject({ kind: "outage" });
  const back = await mailServer({ port: server.port });
  await smtp.send(mail);
  expect(back.received.length).toBe(1);
});

test("a silent server and a server that trickles bytes end within the limits", async () => {
  const silent = await badServer(() => {});
  await expect(transport(silent, { connectMs: 100 }).send(mail)).rejects.toMatchObject({
    kind: "outage",
    code: "ETIMEDOUT",
  });
  let isOpen = false;
  const trickle = await badServer((socket) => {
    isOpen = true;
    const timer = setInterval(() => socket.write("220-still greeting\r\n"), 20);
    socket.on("close", () => {
      isOpen = false;
      clearInterval(timer);
    });
  });
  const limits = { connectMs: 60_000, idleMs: 60_000, sendMs: 300 };
  await expect(transport(trickle, limits).send(mail)).rejects.toMatchObject({
    kind: "outage",
    code: "ETIMEDOUT",
  });
  await waitFor(() => !isOpen, { what: "the end of the connection" });
});

test("a password is not sent in clear text to another machine", async () => {
  const server = await mailServer({ login: { user: "user", password: "secret" } });
  // This address reaches the test server, but it is no loopback address.
  const smtp = transport(`smtp://user:secret@0.0.0.0:${server.port}`);
  await expect(smtp.send(mail)).rejects.toMatchObject({ kind: "outage", code: "500" });
  expect(server.received).toEqual([]);
});

test("smtps uses TLS from the start, and only with a certificate that is trusted", async () => {
  const server = await mailServer({ isTls: true });
  const failure = await transport(`smtps://127.0.0.1:${server.port}`)
    .send(mail)
    .catch((error: unknown) => error);
  expect(failure).toMatchObject({ kind: "outage", code: expect.stringMatching(/CERT|SIGNED/) });
  expect(server.received).toEqual([]);
});

test("closing ends a mail that is being sent", async () => {
  const server = await mailServer();
  let isReceived = false;
  server.onMail = () => {
    isReceived = true;
    return new Promise(() => {});
  };
  const smtp = transport(server.url);
  const sending = smtp.send(mail).catch((error: unknown) => error);
  await waitFor(() => isReceived);
  await smtp.close();
  expect(await sending).toMatchObject({ kind: "outage" });
});
