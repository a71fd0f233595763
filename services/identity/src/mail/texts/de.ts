// Contains the texts of mails in German. Pure.
import type { LanguageTexts } from "./mail-text.ts";

const NOT_YOU =
  "Wenn Sie das nicht waren, setzen Sie sofort Ihr Passwort zurück und beenden Sie alle anderen Sitzungen.";
const ORGANIZATION = "Name der Organisation: {organization}";
const ASK_OWNER = "Wenn Sie das nicht erwartet haben, fragen Sie einen Inhaber der Organisation.";

export const de: LanguageTexts = {
  greeting: "Guten Tag {name},",
  greetingWithoutName: "Guten Tag,",
  footer: "Diese E-Mail wurde automatisch versandt. Bitte antworten Sie nicht darauf.",
  kinds: {
    verify_email: {
      subject: "Bestätigen Sie Ihre E-Mail-Adresse",
      action: "Adresse bestätigen",
      paragraphs: [
        "Mit dieser Adresse wurde ein Konto registriert. Bestätigen Sie die Adresse, um die Registrierung abzuschließen.",
        "{link}",
        "Der Link gilt einmal und 24 Stunden lang. Wenn Sie sich nicht registriert haben, ignorieren Sie diese E-Mail.",
      ],
    },
    already_registered: {
      subject: "Sie haben bereits ein Konto",
      paragraphs: [
        "Jemand, vielleicht Sie selbst, wollte sich mit dieser Adresse registrieren. Sie haben bereits ein Konto: Melden Sie sich damit an.",
        "Wenn Sie Ihr Passwort nicht mehr kennen, fordern Sie bei der Anmeldung ein neues an. Es wurde nichts geändert.",
      ],
    },
    password_reset: {
      subject: "Setzen Sie Ihr Passwort zurück",
      action: "Neues Passwort wählen",
      paragraphs: [
        "Für Ihr Konto wurde ein neues Passwort angefordert.",
        "{link}",
        "Der Link gilt einmal und nur kurze Zeit. Wenn Sie ihn nicht angefordert haben, ignorieren Sie diese E-Mail: Ihr Passwort bleibt, wie es ist.",
      ],
    },
    password_changed: {
      subject: "Ihr Passwort wurde geändert",
      paragraphs: ["Das Passwort Ihres Kontos wurde am {time} geändert.", NOT_YOU],
    },
    account_changed: {
      subject: "Ihr Konto wurde geändert",
      paragraphs: ["Der Name oder die Sprache Ihres Kontos wurde am {time} geändert.", NOT_YOU],
    },
    magic_link: {
      subject: "Anmeldung",
      action: "Anmelden",
      paragraphs: [
        "Mit diesem Link melden Sie sich an.",
        "{link}",
        "Oder geben Sie diesen Code dort ein, wo Sie die E-Mail angefordert haben: {code}",
        "Link und Code gelten einmal und 10 Minuten lang. Wenn Sie sie nicht angefordert haben, ignorieren Sie diese E-Mail. Geben Sie den Code niemandem weiter.",
      ],
    },
    unlock: {
      subject: "Entsperren Sie Ihr Konto",
      action: "Konto entsperren",
      paragraphs: [
        "Nach mehreren falschen Passwörtern ist die Anmeldung bei Ihrem Konto für einige Zeit gesperrt. Sie können die Sperre jetzt aufheben.",
        "{link}",
        "Wenn die Versuche nicht von Ihnen stammen, versucht vielleicht jemand, Ihr Passwort zu erraten. Es wurde nicht erraten.",
      ],
    },
    email_change_confirm: {
      subject: "Bestätigen Sie Ihre neue E-Mail-Adresse",
      action: "Diese Adresse verwenden",
      paragraphs: [
        "Die Adresse eines Kontos soll auf {email} geändert werden. Die Änderung gilt, sobald Sie sie bestätigen.",
        "{link}",
        "Wenn Sie die Änderung nicht angefordert haben, ignorieren Sie diese E-Mail.",
      ],
    },
    email_change_notice: {
      subject: "Ihre E-Mail-Adresse soll geändert werden",
      action: "Änderung rückgängig machen",
      paragraphs: [
        "Für Ihr Konto wurde eine Änderung der Adresse auf {email} angefordert. Sie gilt, sobald die neue Adresse bestätigt ist.",
        "{link}",
        NOT_YOU,
      ],
    },
    email_changed: {
      subject: "Ihre E-Mail-Adresse wurde geändert",
      action: "Änderung rückgängig machen",
      paragraphs: [
        "Die Adresse Ihres Kontos ist jetzt {email}. Diese Adresse gehört nicht mehr zum Konto.",
        "Wenn Sie das nicht waren, machen Sie die Änderung innerhalb von 7 Tagen rückgängig.",
        "{link}",
      ],
    },
    two_factor_enabled: {
      subject: "Die Zwei-Faktor-Authentifizierung ist eingeschaltet",
      paragraphs: ["Für Ihr Konto wurde am {time} die Zwei-Faktor-Authentifizierung eingeschaltet.", NOT_YOU],
    },
    two_factor_disabled: {
      subject: "Die Zwei-Faktor-Authentifizierung ist ausgeschaltet",
      paragraphs: ["Für Ihr Konto wurde am {time} die Zwei-Faktor-Authentifizierung ausgeschaltet.", NOT_YOU],
    },
    backup_codes_created: {
      subject: "Neue Backup-Codes",
      paragraphs: [
        "Für Ihr Konto wurden am {time} neue Backup-Codes erstellt. Die alten Codes gelten nicht mehr.",
        NOT_YOU,
      ],
    },
    recovery_link: {
      subject: "Stellen Sie den Zugang zu Ihrem Konto wieder her",
      action: "Wiederherstellung beginnen",
      paragraphs: [
        "Für Ihr Konto wurde nach Eingabe des richtigen Passworts die Entfernung eines verlorenen zweiten Faktors angefordert.",
        "{link}",
        "Der zweite Faktor wird 72 Stunden nach Beginn der Wiederherstellung entfernt. Wenn Sie das nicht angefordert haben, ändern Sie jetzt Ihr Passwort.",
      ],
    },
    recovery_pending: {
      subject: "Ihr zweiter Faktor wird entfernt",
      action: "Wiederherstellung abbrechen",
      paragraphs: [
        "Die Wiederherstellung Ihres Kontos hat begonnen. Ihr zweiter Faktor wird am {time} entfernt.",
        "Wenn Sie das nicht waren, brechen Sie die Wiederherstellung ab und ändern Sie Ihr Passwort.",
        "{link}",
      ],
    },
    recovery_canceled: {
      subject: "Die Wiederherstellung wurde abgebrochen",
      paragraphs: [
        "Die Wiederherstellung Ihres Kontos wurde am {time} abgebrochen. Ihr zweiter Faktor bleibt bestehen.",
      ],
    },
    refresh_token_reuse: {
      subject: "Eine Sitzung wurde beendet",
      paragraphs: [
        "Am {time} wurde eine Sitzung Ihres Kontos an zwei Stellen zugleich verwendet. Die Sitzung wurde vorsorglich beendet.",
        "Melden Sie sich erneut an. Wenn Sie nicht wissen, wie es dazu kam, ändern Sie Ihr Passwort.",
      ],
    },
    new_device: {
      subject: "Anmeldung von einem neuen Gerät",
      paragraphs: [
        "Am {time} hat sich ein bisher unbekanntes Gerät bei Ihrem Konto angemeldet.",
        "Programm: {client}",
        "Netzwerkadresse: {address}",
        NOT_YOU,
      ],
    },
    two_factor_locked: {
      subject: "Ihr zweiter Faktor ist für einige Zeit gesperrt",
      paragraphs: [
        "Nach zu vielen falschen Codes wurde der zweite Faktor Ihres Kontos am {time} gesperrt. Die Sperre endet von selbst.",
        "Wenn die Versuche nicht von Ihnen stammen, kennt jemand Ihr Passwort: Ändern Sie es.",
      ],
    },
    membership_changed: {
      subject: "Ihre Mitgliedschaft wurde geändert",
      paragraphs: [
        "Ihr Name oder Ihre Rolle in einer Organisation wurde am {time} geändert.",
        ORGANIZATION,
        ASK_OWNER,
      ],
    },
    membership_suspended: {
      subject: "Ihr Zugang wurde gesperrt",
      paragraphs: [
        "Ihr Zugang zu einer Organisation wurde am {time} gesperrt. Ihr Konto und Ihre anderen Organisationen bleiben, wie sie sind.",
        ORGANIZATION,
        ASK_OWNER,
      ],
    },
    membership_reinstated: {
      subject: "Sie haben wieder Zugang",
      paragraphs: [
        "Seit {time} haben Sie wieder Zugang zu einer Organisation. Melden Sie sich wie gewohnt an.",
        ORGANIZATION,
        ASK_OWNER,
      ],
    },
    membership_ended: {
      subject: "Sie sind kein Mitglied mehr",
      paragraphs: [
        "Ihre Mitgliedschaft in einer Organisation endete am {time}. Ihr Konto und Ihre anderen Organisationen bleiben, wie sie sind.",
        ORGANIZATION,
        ASK_OWNER,
      ],
    },
    membership_sessions_ended: {
      subject: "Ihre Sitzungen wurden beendet",
      paragraphs: [
        "Ihre Sitzungen in einer Organisation wurden am {time} beendet. Melden Sie sich erneut an, um fortzufahren.",
        ORGANIZATION,
        ASK_OWNER,
      ],
    },
    export_ready: {
      subject: "Ihr Datenexport ist bereit",
      paragraphs: [
        "Der Export personenbezogener Daten, der mit Ihrem Konto angefordert wurde, ist bereit. Laden Sie ihn dort herunter, wo Sie ihn angefordert haben, angemeldet und vor {time}.",
        "Er kann einmal heruntergeladen werden. Niemand sonst kann ihn herunterladen.",
      ],
    },
    account_deletion_confirm: {
      subject: "Konto löschen",
      action: "Konto löschen",
      paragraphs: [
        "Die Löschung Ihres Kontos wurde angefordert. Sie beendet alle Mitgliedschaften und Sitzungen und kann nicht rückgängig gemacht werden.",
        "{link}",
        "Der Link funktioniert einmal, innerhalb von 24 Stunden. Wenn Sie die Löschung nicht angefordert haben, ändern Sie jetzt Ihr Passwort.",
      ],
    },
    account_deleted: {
      subject: "Ihr Konto wurde gelöscht",
      paragraphs: ["Ihr Konto wurde am {time} gelöscht. Alle Mitgliedschaften und Sitzungen sind beendet."],
    },
    invitation: {
      subject: "Sie sind in eine Organisation eingeladen",
      action: "Einladung annehmen",
      paragraphs: [
        "Sie sind eingeladen, Mitglied einer Organisation zu werden.",
        ORGANIZATION,
        "{link}",
        "Wenn Sie mit dieser Adresse ein Konto haben, melden Sie sich an und nehmen die Einladung mit diesem Link an. Wenn nicht, legen Sie auf der Seite eines an.",
        "Der Link gilt einmal und 7 Tage lang. Wenn Sie die Organisation nicht kennen, ignorieren Sie diese Mail.",
      ],
    },
    account_setup: {
      subject: "Richten Sie Ihr Konto ein",
      action: "Passwort wählen",
      paragraphs: [
        "Für Sie wurde eine Organisation angelegt. Sie sind ihr Inhaber.",
        ORGANIZATION,
        "{link}",
        "Wählen Sie ein Passwort, um sich anzumelden. Der Link gilt einmal und 7 Tage lang. Danach fordern Sie dort, wo Sie sich anmelden, ein neues Passwort an.",
        "Wenn Sie die Organisation nicht kennen, ignorieren Sie diese Mail.",
      ],
    },
    erasure_requested: {
      subject: "Ihre Daten werden vielleicht gelöscht",
      paragraphs: [
        "Am {time} wurde beantragt, die Daten zu löschen, die eine Organisation über Sie speichert. Eine andere Person der Organisation entscheidet.",
        ORGANIZATION,
      ],
    },
    erasure_approved: {
      subject: "Ihre Daten werden gelöscht",
      paragraphs: [
        "Am {time} hat eine Organisation die Löschung ihrer Daten über Sie genehmigt. Ihre Mitgliedschaft ist beendet. Haben Sie keine andere Mitgliedschaft, wird auch Ihr Konto gelöscht.",
        ORGANIZATION,
      ],
    },
    erasure_rejected: {
      subject: "Ihre Daten bleiben",
      paragraphs: [
        "Am {time} hat eine Organisation den Antrag abgelehnt, ihre Daten über Sie zu löschen. Es wurde nichts gelöscht.",
        ORGANIZATION,
      ],
    },
    organization_closing: {
      subject: "Ihre Organisation wird gelöscht",
      paragraphs: [
        "Die Löschung der Organisation {organization}, die Ihnen gehört, wurde beantragt. Am {time} endet die Organisation, und alle ihre Daten werden gelöscht.",
        "Bis dahin funktioniert alles, und ein Eigentümer kann die Löschung widerrufen.",
      ],
    },
  },
};
