// Contains the texts of mails in French. Pure.
import type { LanguageTexts } from "./mail-text.ts";

const NOT_YOU =
  "Si ce n'était pas vous, réinitialisez immédiatement votre mot de passe et fermez toutes les autres sessions.";
const ORGANIZATION = "Nom de l'organisation : {organization}";
const ASK_OWNER = "Si vous ne vous y attendiez pas, adressez-vous à un propriétaire de l'organisation.";

export const fr: LanguageTexts = {
  greeting: "Bonjour {name},",
  greetingWithoutName: "Bonjour,",
  footer: "Ce message a été envoyé automatiquement. Merci de ne pas y répondre.",
  kinds: {
    verify_email: {
      subject: "Confirmez votre adresse e-mail",
      action: "Confirmer l'adresse",
      paragraphs: [
        "Un compte a été créé avec cette adresse. Confirmez l'adresse pour terminer l'inscription.",
        "{link}",
        "Le lien est valable une seule fois, pendant 24 heures. Si vous ne vous êtes pas inscrit, ignorez ce message.",
      ],
    },
    already_registered: {
      subject: "Vous avez déjà un compte",
      paragraphs: [
        "Quelqu'un, peut-être vous, a voulu s'inscrire avec cette adresse. Vous avez déjà un compte : utilisez-le pour vous connecter.",
        "Si vous avez oublié votre mot de passe, demandez-en un nouveau lors de la connexion. Rien n'a été modifié.",
      ],
    },
    password_reset: {
      subject: "Réinitialisez votre mot de passe",
      action: "Choisir un nouveau mot de passe",
      paragraphs: [
        "Un nouveau mot de passe a été demandé pour votre compte.",
        "{link}",
        "Le lien est valable une seule fois et peu de temps. Si vous ne l'avez pas demandé, ignorez ce message : votre mot de passe reste inchangé.",
      ],
    },
    password_changed: {
      subject: "Votre mot de passe a été modifié",
      paragraphs: ["Le mot de passe de votre compte a été modifié le {time}.", NOT_YOU],
    },
    account_changed: {
      subject: "Votre compte a été modifié",
      paragraphs: ["Le nom ou la langue de votre compte a été modifié le {time}.", NOT_YOU],
    },
    magic_link: {
      subject: "Connexion",
      action: "Se connecter",
      paragraphs: [
        "Utilisez ce lien pour vous connecter.",
        "{link}",
        "Ou saisissez ce code là où vous avez demandé le message : {code}",
        "Le lien et le code sont valables une seule fois, pendant 10 minutes. Si vous ne les avez pas demandés, ignorez ce message. Ne communiquez le code à personne.",
      ],
    },
    unlock: {
      subject: "Déverrouillez votre compte",
      action: "Déverrouiller le compte",
      paragraphs: [
        "Après plusieurs mots de passe erronés, la connexion à votre compte est bloquée pour un moment. Vous pouvez lever le blocage dès maintenant.",
        "{link}",
        "Si ces tentatives ne viennent pas de vous, quelqu'un essaie peut-être de deviner votre mot de passe. Il n'a pas été deviné.",
      ],
    },
    email_change_confirm: {
      subject: "Confirmez votre nouvelle adresse e-mail",
      action: "Utiliser cette adresse",
      paragraphs: [
        "L'adresse d'un compte doit devenir {email}. Le changement prend effet lorsque vous le confirmez.",
        "{link}",
        "Si vous n'avez pas demandé ce changement, ignorez ce message.",
      ],
    },
    email_change_notice: {
      subject: "Votre adresse e-mail va changer",
      action: "Annuler le changement",
      paragraphs: [
        "Le remplacement de l'adresse de votre compte par {email} a été demandé. Il prend effet lorsque la nouvelle adresse est confirmée.",
        "{link}",
        NOT_YOU,
      ],
    },
    email_changed: {
      subject: "Votre adresse e-mail a été modifiée",
      action: "Annuler le changement",
      paragraphs: [
        "L'adresse de votre compte est désormais {email}. La présente adresse n'appartient plus au compte.",
        "Si ce n'était pas vous, annulez le changement dans les 7 jours.",
        "{link}",
      ],
    },
    two_factor_enabled: {
      subject: "L'authentification à deux facteurs est activée",
      paragraphs: ["L'authentification à deux facteurs a été activée pour votre compte le {time}.", NOT_YOU],
    },
    two_factor_disabled: {
      subject: "L'authentification à deux facteurs est désactivée",
      paragraphs: [
        "L'authentification à deux facteurs a été désactivée pour votre compte le {time}.",
        NOT_YOU,
      ],
    },
    backup_codes_created: {
      subject: "Nouveaux codes de secours",
      paragraphs: [
        "De nouveaux codes de secours ont été créés pour votre compte le {time}. Les anciens codes ne sont plus valables.",
        NOT_YOU,
      ],
    },
    recovery_link: {
      subject: "Récupérez votre compte",
      action: "Commencer la récupération",
      paragraphs: [
        "La suppression d'un second facteur perdu a été demandée pour votre compte, après saisie du bon mot de passe.",
        "{link}",
        "Le second facteur est supprimé 72 heures après le début de la récupération. Si vous ne l'avez pas demandée, changez votre mot de passe dès maintenant.",
      ],
    },
    recovery_pending: {
      subject: "Votre second facteur va être supprimé",
      action: "Annuler la récupération",
      paragraphs: [
        "La récupération de votre compte a commencé. Votre second facteur sera supprimé le {time}.",
        "Si ce n'était pas vous, annulez la récupération et changez votre mot de passe.",
        "{link}",
      ],
    },
    recovery_canceled: {
      subject: "La récupération a été annulée",
      paragraphs: [
        "La récupération de votre compte a été annulée le {time}. Votre second facteur est conservé.",
      ],
    },
    refresh_token_reuse: {
      subject: "Une session a été fermée",
      paragraphs: [
        "Le {time}, une session de votre compte a été utilisée à deux endroits à la fois. La session a été fermée par précaution.",
        "Connectez-vous de nouveau. Si vous n'en connaissez pas la cause, changez votre mot de passe.",
      ],
    },
    new_device: {
      subject: "Connexion depuis un nouvel appareil",
      paragraphs: [
        "Le {time}, un appareil inconnu jusqu'ici s'est connecté à votre compte.",
        "Programme : {client}",
        "Adresse réseau : {address}",
        NOT_YOU,
      ],
    },
    two_factor_locked: {
      subject: "Votre second facteur est bloqué pour un moment",
      paragraphs: [
        "Après trop de codes erronés, le second facteur de votre compte a été bloqué le {time}. Le blocage prend fin de lui-même.",
        "Si ces tentatives ne viennent pas de vous, quelqu'un connaît votre mot de passe : changez-le.",
      ],
    },
    membership_changed: {
      subject: "Votre adhésion a été modifiée",
      paragraphs: [
        "Votre nom ou votre rôle dans une organisation a été modifié le {time}.",
        ORGANIZATION,
        ASK_OWNER,
      ],
    },
    membership_suspended: {
      subject: "Votre accès a été suspendu",
      paragraphs: [
        "Votre accès à une organisation a été suspendu le {time}. Votre compte et vos autres organisations restent inchangés.",
        ORGANIZATION,
        ASK_OWNER,
      ],
    },
    membership_reinstated: {
      subject: "Vous avez de nouveau accès",
      paragraphs: [
        "Depuis le {time}, vous avez de nouveau accès à une organisation. Connectez-vous comme d'habitude.",
        ORGANIZATION,
        ASK_OWNER,
      ],
    },
    membership_ended: {
      subject: "Vous n'êtes plus membre",
      paragraphs: [
        "Votre adhésion à une organisation a pris fin le {time}. Votre compte et vos autres organisations restent inchangés.",
        ORGANIZATION,
        ASK_OWNER,
      ],
    },
    membership_sessions_ended: {
      subject: "Vos sessions ont été fermées",
      paragraphs: [
        "Vos sessions dans une organisation ont été fermées le {time}. Reconnectez-vous pour continuer.",
        ORGANIZATION,
        ASK_OWNER,
      ],
    },
    export_ready: {
      subject: "Votre export de données est prêt",
      paragraphs: [
        "L'export de données personnelles demandé avec votre compte est prêt. Téléchargez-le là où vous l'avez demandé, une fois connecté, avant le {time}.",
        "Il peut être téléchargé une seule fois. Personne d'autre ne peut le télécharger.",
      ],
    },
    account_deletion_confirm: {
      subject: "Supprimer votre compte",
      action: "Supprimer le compte",
      paragraphs: [
        "La suppression de votre compte a été demandée. Elle met fin à toutes vos adhésions et sessions et ne peut pas être annulée.",
        "{link}",
        "Le lien fonctionne une fois, dans les 24 heures. Si vous n'avez pas demandé la suppression, changez votre mot de passe maintenant.",
      ],
    },
    account_deleted: {
      subject: "Votre compte a été supprimé",
      paragraphs: ["Votre compte a été supprimé le {time}. Toutes vos adhésions et sessions ont pris fin."],
    },
    invitation: {
      subject: "Vous êtes invité à rejoindre une organisation",
      action: "Accepter l'invitation",
      paragraphs: [
        "Vous êtes invité à devenir membre d'une organisation.",
        ORGANIZATION,
        "{link}",
        "Si vous avez un compte avec cette adresse, connectez-vous et acceptez l'invitation avec ce lien. Sinon, la page permet d'en créer un.",
        "Le lien fonctionne une fois, pendant 7 jours. Si vous ne connaissez pas l'organisation, ignorez cet e-mail.",
      ],
    },
    account_setup: {
      subject: "Configurez votre compte",
      action: "Choisir un mot de passe",
      paragraphs: [
        "Une organisation a été créée pour vous ; vous en êtes propriétaire.",
        ORGANIZATION,
        "{link}",
        "Choisissez un mot de passe pour vous connecter. Le lien fonctionne une fois, pendant 7 jours. Ensuite, demandez un nouveau mot de passe là où vous vous connectez.",
        "Si vous ne connaissez pas l'organisation, ignorez cet e-mail.",
      ],
    },
    erasure_requested: {
      subject: "Vos données pourraient être effacées",
      paragraphs: [
        "Le {time}, l’effacement des données qu’une organisation conserve sur vous a été demandé. Une autre personne de l’organisation décide.",
        ORGANIZATION,
      ],
    },
    erasure_approved: {
      subject: "Vos données sont effacées",
      paragraphs: [
        "Le {time}, une organisation a approuvé l’effacement de ses données sur vous. Votre adhésion a pris fin. Si vous n’avez pas d’autre adhésion, votre compte est effacé aussi.",
        ORGANIZATION,
      ],
    },
    erasure_rejected: {
      subject: "Vos données sont conservées",
      paragraphs: [
        "Le {time}, une organisation a refusé la demande d’effacer ses données sur vous. Rien n’a été effacé.",
        ORGANIZATION,
      ],
    },
    organization_closing: {
      subject: "Votre organisation va être supprimée",
      paragraphs: [
        "La suppression de l’organisation {organization}, dont vous êtes propriétaire, a été demandée. Le {time}, l’organisation prend fin et toutes ses données sont effacées.",
        "Jusque-là, tout fonctionne, et un propriétaire peut annuler la suppression.",
      ],
    },
  },
};
