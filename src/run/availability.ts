import { type Availability, PRECISIONS } from '../core/backend.ts';

type Fields = Readonly<Record<string, unknown>>;

/** What a probe answered, or, where a plugin answers something else, that the backend is unavailable because of it. */
export function checkedAvailability(answer: unknown): Availability {
  const fault = faultOf(answer);
  if (fault === null) return answer as Availability;
  return { available: false, version: null, reason: `its probe answered wrongly: ${fault}`, fix: null };
}

function faultOf(answer: unknown): string | null {
  if (!isObject(answer)) return 'expected an object';
  if (answer.available === false) {
    if (!isTextOrNull(answer.version)) return 'version: expected a text or null';
    if (typeof answer.reason !== 'string') return 'reason: expected a text';
    return isTextOrNull(answer.fix) ? null : 'fix: expected a text or null';
  }
  if (answer.available !== true) return 'available: expected true or false';
  if (typeof answer.version !== 'string') return 'version: expected a text';
  const { device, precisions } = answer;
  if (!isObject(device)) return 'device: expected an object';
  if (device.kind !== 'cpu' && device.kind !== 'gpu') return 'device.kind: expected cpu or gpu';
  if (typeof device.name !== 'string') return 'device.name: expected a text';
  if (!isTextOrNull(device.driver)) return 'device.driver: expected a text or null';
  if (typeof device.software !== 'boolean') return 'device.software: expected true or false';
  const known: readonly unknown[] = PRECISIONS;
  return Array.isArray(precisions) && precisions.every((p) => known.includes(p))
    ? null
    : `precisions: expected a list of ${PRECISIONS.join(', ')}`;
}

const isObject = (value: unknown): value is Fields => typeof value === 'object' && value !== null;
const isTextOrNull = (value: unknown): boolean => value === null || typeof value === 'string';
