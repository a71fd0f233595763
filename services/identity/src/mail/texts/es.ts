// Contains the texts of mails in Spanish. Pure.
import type { LanguageTexts } from "./mail-text.ts";

const NOT_YOU = "Si no fue usted, restablezca su contraseña de inmediato y cierre todas las demás sesiones.";
const ORGANIZATION = "Nombre de la organización: {organization}";
const ASK_OWNER = "Si no lo esperaba, consulte a una persona propietaria de la organización.";

export const es: LanguageTexts = {
  greeting: "Hola, {name}:",
  greetingWithoutName: "Hola:",
  footer: "Este mensaje se envió automáticamente. Por favor, no responda a él.",
  kinds: {
    verify_email: {
      subject: "Confirme su dirección de correo",
      action: "Confirmar la dirección",
      paragraphs: [
        "Se registró una cuenta con esta dirección. Confirme la dirección para completar el registro.",
        "{link}",
        "El enlace sirve una sola vez, durante 24 horas. Si usted no se registró, ignore este mensaje.",
      ],
    },
    already_registered: {
      subject: "Usted ya tiene una cuenta",
      paragraphs: [
        "Alguien, quizá usted, intentó registrarse con esta dirección. Usted ya tiene una cuenta: inicie sesión con ella.",
        "Si ya no recuerda su contraseña, solicite una nueva al iniciar sesión. No se ha cambiado nada.",
      ],
    },
    password_reset: {
      subject: "Restablezca su contraseña",
      action: "Elegir una contraseña nueva",
      paragraphs: [
        "Se solicitó una contraseña nueva para su cuenta.",
        "{link}",
        "El enlace sirve una sola vez y por poco tiempo. Si usted no lo solicitó, ignore este mensaje: su contraseña no cambia.",
      ],
    },
    password_changed: {
      subject: "Se cambió su contraseña",
      paragraphs: ["La contraseña de su cuenta se cambió el {time}.", NOT_YOU],
    },
    account_changed: {
      subject: "Su cuenta se ha modificado",
      paragraphs: ["El nombre o el idioma de su cuenta se modificó el {time}.", NOT_YOU],
    },
    magic_link: {
      subject: "Inicio de sesión",
      action: "Iniciar sesión",
      paragraphs: [
        "Use este enlace para iniciar sesión.",
        "{link}",
        "O introduzca este código donde solicitó el mensaje: {code}",
        "El enlace y el código sirven una sola vez, durante 10 minutos. Si usted no los solicitó, ignore este mensaje. No dé el código a nadie.",
      ],
    },
    unlock: {
      subject: "Desbloquee su cuenta",
      action: "Desbloquear la cuenta",
      paragraphs: [
        "Tras varias contraseñas incorrectas, el inicio de sesión en su cuenta está bloqueado por un tiempo. Puede terminar el bloqueo ahora.",
        "{link}",
        "Si los intentos no fueron suyos, quizá alguien intenta adivinar su contraseña. No la ha adivinado.",
      ],
    },
    email_change_confirm: {
      subject: "Confirme su nueva dirección de correo",
      action: "Usar esta dirección",
      paragraphs: [
        "La dirección de una cuenta va a cambiar a {email}. El cambio surte efecto cuando usted lo confirma.",
        "{link}",
        "Si usted no solicitó el cambio, ignore este mensaje.",
      ],
    },
    email_change_notice: {
      subject: "Su dirección de correo va a cambiar",
      action: "Deshacer el cambio",
      paragraphs: [
        "Se solicitó cambiar la dirección de su cuenta a {email}. El cambio surte efecto cuando se confirma la nueva dirección.",
        "{link}",
        NOT_YOU,
      ],
    },
    email_changed: {
      subject: "Se cambió su dirección de correo",
      action: "Deshacer el cambio",
      paragraphs: [
        "La dirección de su cuenta es ahora {email}. Esta dirección ya no pertenece a la cuenta.",
        "Si no fue usted, deshaga el cambio en un plazo de 7 días.",
        "{link}",
      ],
    },
    two_factor_enabled: {
      subject: "La autenticación en dos pasos está activada",
      paragraphs: ["La autenticación en dos pasos se activó en su cuenta el {time}.", NOT_YOU],
    },
    two_factor_disabled: {
      subject: "La autenticación en dos pasos está desactivada",
      paragraphs: ["La autenticación en dos pasos se desactivó en su cuenta el {time}.", NOT_YOU],
    },
    backup_codes_created: {
      subject: "Nuevos códigos de respaldo",
      paragraphs: [
        "Se crearon nuevos códigos de respaldo para su cuenta el {time}. Los códigos anteriores ya no sirven.",
        NOT_YOU,
      ],
    },
    recovery_link: {
      subject: "Recupere su cuenta",
      action: "Iniciar la recuperación",
      paragraphs: [
        "Se solicitó eliminar un segundo factor perdido de su cuenta, tras introducir la contraseña correcta.",
        "{link}",
        "El segundo factor se elimina 72 horas después de iniciar la recuperación. Si usted no la solicitó, cambie su contraseña ahora.",
      ],
    },
    recovery_pending: {
      subject: "Su segundo factor se eliminará",
      action: "Cancelar la recuperación",
      paragraphs: [
        "La recuperación de su cuenta ha comenzado. Su segundo factor se eliminará el {time}.",
        "Si no fue usted, cancele la recuperación y cambie su contraseña.",
        "{link}",
      ],
    },
    recovery_canceled: {
      subject: "Se canceló la recuperación",
      paragraphs: ["La recuperación de su cuenta se canceló el {time}. Su segundo factor se conserva."],
    },
    refresh_token_reuse: {
      subject: "Se cerró una sesión",
      paragraphs: [
        "El {time}, una sesión de su cuenta se usó en dos lugares a la vez. La sesión se cerró por precaución.",
        "Inicie sesión de nuevo. Si no sabe por qué ocurrió, cambie su contraseña.",
      ],
    },
    new_device: {
      subject: "Inicio de sesión desde un dispositivo nuevo",
      paragraphs: [
        "El {time}, un dispositivo hasta ahora desconocido inició sesión en su cuenta.",
        "Programa: {client}",
        "Dirección de red: {address}",
        NOT_YOU,
      ],
    },
    two_factor_locked: {
      subject: "Su segundo factor está bloqueado por un tiempo",
      paragraphs: [
        "Tras demasiados códigos incorrectos, el segundo factor de su cuenta se bloqueó el {time}. El bloqueo termina por sí solo.",
        "Si los intentos no fueron suyos, alguien conoce su contraseña: cámbiela.",
      ],
    },
    membership_changed: {
      subject: "Su membresía se ha modificado",
      paragraphs: [
        "Su nombre o su función en una organización se modificó el {time}.",
        ORGANIZATION,
        ASK_OWNER,
      ],
    },
    membership_suspended: {
      subject: "Su acceso se ha suspendido",
      paragraphs: [
        "Su acceso a una organización se suspendió el {time}. Su cuenta y sus demás organizaciones no cambian.",
        ORGANIZATION,
        ASK_OWNER,
      ],
    },
    membership_reinstated: {
      subject: "Vuelve a tener acceso",
      paragraphs: [
        "Desde el {time} vuelve a tener acceso a una organización. Inicie sesión como siempre.",
        ORGANIZATION,
        ASK_OWNER,
      ],
    },
    membership_ended: {
      subject: "Ya no es miembro",
      paragraphs: [
        "Su membresía en una organización terminó el {time}. Su cuenta y sus demás organizaciones no cambian.",
        ORGANIZATION,
        ASK_OWNER,
      ],
    },
    membership_sessions_ended: {
      subject: "Se cerraron sus sesiones",
      paragraphs: [
        "Sus sesiones en una organización se cerraron el {time}. Inicie sesión de nuevo para continuar.",
        ORGANIZATION,
        ASK_OWNER,
      ],
    },
    export_ready: {
      subject: "Su exportación de datos está lista",
      paragraphs: [
        "La exportación de datos personales solicitada con su cuenta está lista. Descárguela donde la solicitó, con su sesión iniciada, antes de {time}.",
        "Se puede descargar una sola vez. Nadie más puede descargarla.",
      ],
    },
    account_deletion_confirm: {
      subject: "Eliminar su cuenta",
      action: "Eliminar la cuenta",
      paragraphs: [
        "Se solicitó eliminar su cuenta. Esto termina todas sus membresías y sesiones y no se puede deshacer.",
        "{link}",
        "El enlace funciona una vez, en un plazo de 24 horas. Si no solicitó la eliminación, cambie su contraseña ahora.",
      ],
    },
    account_deleted: {
      subject: "Su cuenta fue eliminada",
      paragraphs: ["Su cuenta fue eliminada el {time}. Todas sus membresías y sesiones han terminado."],
    },
    invitation: {
      subject: "Le invitan a unirse a una organización",
      action: "Aceptar la invitación",
      paragraphs: [
        "Le invitan a ser miembro de una organización.",
        ORGANIZATION,
        "{link}",
        "Si tiene una cuenta con esta dirección, inicie sesión y acepte la invitación con este enlace. Si no, la página permite crear una.",
        "El enlace funciona una vez, durante 7 días. Si no conoce la organización, ignore este correo.",
      ],
    },
    account_setup: {
      subject: "Configure su cuenta",
      action: "Elegir una contraseña",
      paragraphs: [
        "Se ha creado una organización para usted, de la que es la persona propietaria.",
        ORGANIZATION,
        "{link}",
        "Elija una contraseña para iniciar sesión. El enlace funciona una vez, durante 7 días. Después, solicite una contraseña nueva donde inicia sesión.",
        "Si no conoce la organización, ignore este correo.",
      ],
    },
    erasure_requested: {
      subject: "Sus datos podrían borrarse",
      paragraphs: [
        "El {time} se solicitó borrar los datos que una organización guarda sobre usted. Otra persona de la organización decide.",
        ORGANIZATION,
      ],
    },
    erasure_approved: {
      subject: "Se borran sus datos",
      paragraphs: [
        "El {time} una organización aprobó borrar sus datos sobre usted. Su membresía ha terminado. Si no tiene otra membresía, también se borra su cuenta.",
        ORGANIZATION,
      ],
    },
    erasure_rejected: {
      subject: "Sus datos se conservan",
      paragraphs: [
        "El {time} una organización rechazó la solicitud de borrar sus datos sobre usted. No se borró nada.",
        ORGANIZATION,
      ],
    },
    organization_closing: {
      subject: "Su organización se eliminará",
      paragraphs: [
        "Se ha solicitado la eliminación de la organización {organization}, de la que usted es propietario. El {time} la organización termina y se borran todos sus datos.",
        "Hasta entonces todo funciona, y un propietario puede revocar la eliminación.",
      ],
    },
  },
};
