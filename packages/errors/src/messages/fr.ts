// French.
import type { ReasonName } from "../reason-table.ts";

export const fr = {
  REQUEST_MALFORMED: "La requête est mal formée.",
  FIELD_INVALID: "Un champ n'est pas valide.",
  PAGE_TOKEN_INVALID: "Le jeton de page n'appartient pas à cette liste.",
  POSITION_INVALID: "La position n'appartient pas à cette installation.",
  UNAUTHENTICATED: "Des identifiants valides sont requis.",
  PERMISSION_DENIED: "Ces identifiants ne permettent pas cette opération.",
  ROUTE_NOT_FOUND: "Cette route n'existe pas.",
  METHOD_NOT_ALLOWED: "Ce chemin n'accepte pas cette méthode.",
  TOO_LARGE: "La requête est trop volumineuse.",
  MEDIA_TYPE_UNSUPPORTED: "Envoyez du application/json.",
  PROFILE_NOT_FOUND: "Ce profil n'existe pas.",
  PROFILE_IDENTITY_TAKEN: "Un autre profil a cette identité.",
  EVENT_CONFLICT: "Un événement de même identifiant et de même date a été enregistré avec un autre contenu.",
  SEGMENT_NOT_FOUND: "Ce segment n'existe pas.",
  SEGMENT_NAME_TAKEN: "Un segment de ce nom existe déjà.",
  SEGMENT_LIMIT_REACHED: "L'organisation a atteint son nombre maximal de segments.",
  API_KEY_NOT_FOUND: "Cette clé d'API n'existe pas.",
  API_KEY_ROTATED: "La clé d'API a déjà été renouvelée ; renouvelez celle qui l'a remplacée.",
  ORGANIZATION_NOT_FOUND: "Cette organisation n'existe pas.",
  IDEMPOTENCY_KEY_REUSED: "La clé d'idempotence a été utilisée avec un autre contenu.",
  IDEMPOTENCY_IN_PROGRESS: "Une requête avec cette clé d'idempotence est encore en cours.",
  NOT_YET_CONSISTENT:
    "La lecture n'a pas pu inclure à temps toutes les écritures confirmées ; veuillez réessayer.",
  OVERLOADED: "Trop de requêtes sont en attente ; réessayez plus tard.",
  UNAVAILABLE: "Une partie de Muster ne répond pas ; veuillez réessayer.",
  DEADLINE_EXCEEDED: "Le délai est passé avant la réponse.",
  CANCELLED: "L'appelant a annulé la requête.",
  UNIMPLEMENTED: "Cette méthode n'est pas disponible ici.",
  INTERNAL: "Une erreur s'est produite de notre côté.",
} as const satisfies Record<ReasonName, string>;
