// Declares a mail, the port that sends mails, and the port that shows mails stored in a folder.

/** A rendered mail to one recipient. */
export interface Mail {
  /** A UUID. The Message-ID is made from it, so a mail that is sent twice has the same Message-ID. */
  readonly id: string;
  readonly createTimeMs: number;
  /** Address of the recipient, as the recipient spells it. Never a display name. */
  readonly to: string;
  readonly subject: string;
  readonly text: string;
  readonly html: string;
}

export interface MailTransport {
  /**
   * Resolves once the next server, or the disk, has the mail. Rejects with a MailFailure; after a failure the mail
   * may have been delivered all the same.
   */
  send(mail: Mail): Promise<void>;
  /** Ends open connections; mails that are being sent fail. */
  close(): Promise<void>;
}

/** A stored mail in the list. */
export interface StoredMailSummary {
  readonly id: string;
  readonly createTimeMs: number;
  readonly to: string;
  readonly subject: string;
}

export interface StoredMail extends StoredMailSummary {
  readonly text: string;
  readonly html: string;
}

/** Shows the mails that an installation without a mail server has stored. */
export interface StoredMails {
  /** Newest first. */
  list(): Promise<readonly StoredMailSummary[]>;
  /** Undefined for an unknown id. */
  read(id: string): Promise<StoredMail | undefined>;
}
