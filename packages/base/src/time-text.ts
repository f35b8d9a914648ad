/**
 * Nanosecond times as the replica prints them in error texts: "2023-05-31 22:00:00.5 UTC", fraction in groups
 * of three.
 */
import type { TimeNs } from "./capabilities.ts";

const NS_PER_SECOND = 1_000_000_000n;
const SECONDS_PER_DAY = 86_400;

const pad = (value: number, width: number): string => value.toString().padStart(width, "0");

/** Year, month and day of a day number counted from 1970-01-01, in the proleptic Gregorian calendar. */
function civil(day: number): readonly [number, number, number] {
  // Years start in March here, so that the leap day is a year's last.
  const shifted = day + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1_460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  return [year, month, dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1];
}

/** `time`: nanoseconds since 1970-01-01, not negative. */
export function timeToText(time: TimeNs): string {
  const seconds = Number(time / NS_PER_SECOND);
  const nanos = Number(time % NS_PER_SECOND);
  const [year, month, day] = civil(Math.floor(seconds / SECONDS_PER_DAY));
  const s = seconds % SECONDS_PER_DAY;
  const clock = [Math.floor(s / 3_600), Math.floor(s / 60) % 60, s % 60].map((n) => pad(n, 2)).join(":");
  const digits = pad(nanos, 9);
  const width = nanos === 0 ? 0 : nanos % 1_000_000 === 0 ? 3 : nanos % 1_000 === 0 ? 6 : 9;
  const fraction = width === 0 ? "" : `.${digits.slice(0, width)}`;
  return `${pad(year, 4)}-${pad(month, 2)}-${pad(day, 2)} ${clock}${fraction} UTC`;
}
