// German.
import type { ReasonName } from "../reason-table.ts";

export const de = {
  REQUEST_MALFORMED: "Die Anfrage ist fehlerhaft aufgebaut.",
  FIELD_INVALID: "Ein Feld ist ungültig.",
  PAGE_TOKEN_INVALID: "Das Seiten-Token gehört nicht zu dieser Liste.",
  POSITION_INVALID: "Die Position gehört nicht zu dieser Installation.",
  UNAUTHENTICATED: "Gültige Zugangsdaten sind erforderlich.",
  PERMISSION_DENIED: "Die Zugangsdaten erlauben dies nicht.",
  ROUTE_NOT_FOUND: "Diese Route gibt es nicht.",
  METHOD_NOT_ALLOWED: "Der Pfad nimmt diese Methode nicht an.",
  TOO_LARGE: "Die Anfrage ist zu groß.",
  MEDIA_TYPE_UNSUPPORTED: "Senden Sie application/json.",
  PROFILE_NOT_FOUND: "Dieses Profil gibt es nicht.",
  PROFILE_IDENTITY_TAKEN: "Ein anderes Profil hat diese Identität.",
  EVENT_CONFLICT:
    "Ein Ereignis mit dieser ID und diesem Zeitpunkt wurde bereits mit anderem Inhalt aufgezeichnet.",
  SEGMENT_NOT_FOUND: "Dieses Segment gibt es nicht.",
  SEGMENT_NAME_TAKEN: "Ein Segment dieses Namens gibt es bereits.",
  SEGMENT_LIMIT_REACHED: "Die Organisation hat so viele Segmente, wie sie haben darf.",
  SEGMENT_IN_USE: "Andere Segmente verweisen auf dieses Segment.",
  SEGMENT_VERSION_STALE: "Die Regel des Segments wurde inzwischen geändert; lesen Sie sie erneut.",
  API_KEY_NOT_FOUND: "Diesen API-Schlüssel gibt es nicht.",
  API_KEY_ROTATED: "Der API-Schlüssel wurde bereits erneuert; erneuern Sie seinen Nachfolger.",
  ORGANIZATION_NOT_FOUND: "Diese Organisation gibt es nicht.",
  IDEMPOTENCY_KEY_REUSED: "Der Idempotenzschlüssel wurde mit einem anderen Inhalt verwendet.",
  IDEMPOTENCY_IN_PROGRESS: "Eine Anfrage mit diesem Idempotenzschlüssel läuft noch.",
  NOT_YET_CONSISTENT:
    "Die Abfrage konnte nicht rechtzeitig alle bestätigten Änderungen berücksichtigen; versuchen Sie es erneut.",
  OVERLOADED: "Es warten zu viele Anfragen; versuchen Sie es später erneut.",
  UNAVAILABLE: "Ein Teil von Muster antwortet nicht; versuchen Sie es erneut.",
  DEADLINE_EXCEEDED: "Die Frist lief ab, bevor die Antwort da war.",
  CANCELLED: "Der Aufrufer hat die Anfrage abgebrochen.",
  UNIMPLEMENTED: "Diese Methode ist hier nicht verfügbar.",
  INTERNAL: "Bei uns ist ein Fehler aufgetreten.",
} as const satisfies Record<ReasonName, string>;
