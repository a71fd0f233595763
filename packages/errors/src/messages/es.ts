// Spanish.
import type { ReasonName } from "../reason-table.ts";

export const es = {
  REQUEST_MALFORMED: "La solicitud está mal formada.",
  FIELD_INVALID: "Un campo no es válido.",
  PAGE_TOKEN_INVALID: "El token de página no pertenece a esta lista.",
  POSITION_INVALID: "La posición no pertenece a esta instalación.",
  UNAUTHENTICATED: "Se requieren credenciales válidas.",
  PERMISSION_DENIED: "La credencial no permite esta operación.",
  ROUTE_NOT_FOUND: "Esa ruta no existe.",
  METHOD_NOT_ALLOWED: "La ruta no acepta este método.",
  TOO_LARGE: "La solicitud es demasiado grande.",
  MEDIA_TYPE_UNSUPPORTED: "Envíe application/json.",
  PROFILE_NOT_FOUND: "Ese perfil no existe.",
  PROFILE_IDENTITY_TAKEN: "Otro perfil tiene esta identidad.",
  EVENT_CONFLICT: "Un evento con este identificador y esta fecha ya se registró con otro contenido.",
  SEGMENT_NOT_FOUND: "Ese segmento no existe.",
  SEGMENT_NAME_TAKEN: "Ya existe un segmento con este nombre.",
  SEGMENT_LIMIT_REACHED: "La organización tiene tantos segmentos como se le permiten.",
  API_KEY_NOT_FOUND: "Esa clave de API no existe.",
  API_KEY_ROTATED: "La clave de API ya se renovó; renueve la que la sustituyó.",
  ORGANIZATION_NOT_FOUND: "Esa organización no existe.",
  IDEMPOTENCY_KEY_REUSED: "La clave de idempotencia se usó con otro contenido.",
  IDEMPOTENCY_IN_PROGRESS: "Una solicitud con esta clave de idempotencia sigue en curso.",
  NOT_YET_CONSISTENT:
    "La lectura no pudo incluir a tiempo todas las escrituras confirmadas; inténtelo de nuevo.",
  OVERLOADED: "Hay demasiadas solicitudes en espera; inténtelo más tarde.",
  UNAVAILABLE: "Una parte de Muster no responde; inténtelo de nuevo.",
  DEADLINE_EXCEEDED: "El plazo venció antes de la respuesta.",
  CANCELLED: "El cliente canceló la solicitud.",
  UNIMPLEMENTED: "Este método no está disponible aquí.",
  INTERNAL: "Se produjo un error por nuestra parte.",
} as const satisfies Record<ReasonName, string>;
