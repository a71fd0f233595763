// Runs the mail server of `make up`, which stores every mail as a file: `mail-catcher.ts <port> <folder>`.
import { MailServer } from "@muster/testkit/mail-server";

const [port, folder] = process.argv.slice(2);
if (port === undefined || folder === undefined) throw new Error("give a port and a folder");
const server = await MailServer.start({ port: Number(port), folder });
process.stdout.write(`mails sent to ${server.url} are stored in ${folder}\n`);
process.once("SIGTERM", () => {
  void server.stop().then(() => process.exit(0));
});
