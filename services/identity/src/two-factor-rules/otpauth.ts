// Builds what an authenticator app reads at enrollment: the otpauth URI and its QR code. Pure.
import encodeQr from "qr";
import { totpSecretText } from "./totp.ts";

/** Name under which authenticator apps list the account. */
const ISSUER = "Muster";

/** Not by otplib, which leaves a colon of the label bare although a colon ends the issuer. */
export function otpauthUri(label: string, secret: Uint8Array): string {
  const path = `${encodeURIComponent(ISSUER)}:${encodeURIComponent(label)}`;
  const query = new URLSearchParams({
    secret: totpSecretText(secret),
    issuer: ISSUER,
    algorithm: "SHA1",
    digits: "6",
    period: "30",
  });
  return `otpauth://totp/${path}?${query}`;
}

/** An SVG element without script, style or reference. */
export function qrSvg(uri: string): string {
  return encodeQr(uri, "svg", { ecc: "medium", border: 4 });
}
