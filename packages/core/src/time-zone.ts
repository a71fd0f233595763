// Names of time zones, as the platform's own tables know them.

/**
 * The IANA name as it is usually written ("europe/berlin" is "Europe/Berlin"), or undefined where there is no
 * such zone. An alias stays what it is, for people look for the name that they gave.
 */
export function timeZoneNamed(text: string): string | undefined {
  // Intl also takes bare offsets, which know no daylight saving time.
  if (!/^[A-Za-z]/.test(text)) return undefined;
  try {
    const { timeZone } = new Intl.DateTimeFormat("en", { timeZone: text }).resolvedOptions();
    return timeZone.toLowerCase() === text.toLowerCase() ? timeZone : text;
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
