// Checks names of time zones against the platform's tables.

/**
 * The IANA name in its usual spelling ("europe/berlin" is "Europe/Berlin"), or undefined for an unknown zone.
 * An alias is not replaced by its target, because people expect the name that they entered.
 */
export function timeZoneNamed(text: string): string | undefined {
  // Intl also accepts bare offsets, which have no daylight saving time.
  if (!/^[A-Za-z]/.test(text)) return undefined;
  try {
    const { timeZone } = new Intl.DateTimeFormat("en", { timeZone: text }).resolvedOptions();
    return timeZone.toLowerCase() === text.toLowerCase() ? timeZone : text;
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
