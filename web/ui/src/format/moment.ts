/** Writes moments, given in milliseconds since 1970, in the reader's time zone. */

const time = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const dayOfYear = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });

/** `14:03:20` */
export const formatTime = (at: number): string => time.format(at);

/** `14:03:20` today, `3 Nov 14:03:20` this year, `3 Nov 2025 14:03:20` before. */
export function formatMoment(at: number, now: number = Date.now()): string {
  const [moment, today] = [new Date(at), new Date(now)];
  if (moment.toDateString() === today.toDateString()) return time.format(at);
  const date = moment.getFullYear() === today.getFullYear() ? day : dayOfYear;
  return `${date.format(at)} ${time.format(at)}`;
}

/** `2026-11-03 14:03:20 +09:00`, for titles: nothing is left to guess. */
export function formatExact(at: number): string {
  const moment = new Date(at);
  const offset = -moment.getTimezoneOffset();
  const two = (value: number): string => String(Math.floor(Math.abs(value))).padStart(2, "0");
  const local = new Date(at + offset * 60_000).toISOString();
  return `${local.slice(0, 10)} ${local.slice(11, 19)} ${offset < 0 ? "-" : "+"}${two(offset / 60)}:${two(offset % 60)}`;
}

/** For `<input type="datetime-local">`. */
export function toLocalInput(at: number): string {
  const offset = -new Date(at).getTimezoneOffset();
  return new Date(at + offset * 60_000).toISOString().slice(0, 16);
}

/** Reads `<input type="datetime-local">`; `null` when it is empty or wrong. */
export function fromLocalInput(text: string): number | null {
  const at = new Date(text).getTime();
  return Number.isNaN(at) ? null : at;
}
