/**
 * Nova, told by `POST /os-server-external-events` (Compute API v2.1): 200 when it took all, 207 with a code for each
 * event when not, 404 when it could hand on none of them.
 *
 * Nova forgets events nobody waits for and looks at a port again when it hears of it twice: repeating does no harm.
 */
import type { Destination, Sent, TakenEvent, Verdict } from './event.ts'
import { type Service, type ServiceAnswer, wordsOf } from './service.ts'

/** So often Nova may say that a server has no host yet; with the pauses between, about five minutes, its own patience. */
const PATIENCE = 10

export const createNova = (service: Service): Destination => ({
  name: 'nova',
  batch: 100,
  send: (events, signal) =>
    service(
      { method: 'POST', path: '/os-server-external-events', body: { events: events.map(({ body }) => body) } },
      signal,
    ).then(
      (answer) => judge(answer, events),
      (error: Error): Sent => ({ kind: 'fault', why: error.message, answered: false }),
    ),
})

/** What Nova's answer says of each event. */
export function judge(answer: ServiceAnswer, events: readonly TakenEvent[]): Sent {
  const { status } = answer
  if (status === 200 || status === 207) {
    const told = reported(answer)
    if (told.length > 0)
      return { kind: 'judged', verdicts: events.map((event) => verdictOf(event, codeOf(event, told))) }
    return { kind: 'fault', why: `it answered ${status} and no events`, answered: true }
  }
  // With one of its own 404s Nova says that none has a server with a host: not which of both is missing.
  if (status === 404 && isNovas(answer))
    return { kind: 'judged', verdicts: events.map((event) => verdictOf(event, 422)) }
  // Who we are or where it is, is wrong for all of them; the rest may lie in one.
  const aboutUs = [401, 403, 404, 405, 429, 502, 503, 504].includes(status)
  return { kind: 'fault', why: wordsOf(answer), answered: !aboutUs }
}

interface Reported {
  readonly code?: unknown
  readonly name?: unknown
  readonly server_uuid?: unknown
  readonly tag?: unknown
}

const reported = ({ body }: ServiceAnswer): readonly Reported[] => {
  const events = (body as { events?: unknown } | undefined)?.events
  return Array.isArray(events) ? (events as Reported[]) : []
}

/** By what they say, not by place: at most one event of a port is in a batch. */
const codeOf = ({ body }: TakenEvent, told: readonly Reported[]): unknown =>
  told.find((one) => one.tag === body['tag'] && one.name === body['name'] && one.server_uuid === body['server_uuid'])
    ?.code

const isNovas = ({ body }: ServiceAnswer): boolean =>
  typeof body === 'object' && body !== null && 'itemNotFound' in body

function verdictOf({ failures }: TakenEvent, code: unknown): Verdict {
  if (code === 200) return { kind: 'done', note: null }
  if (code === 404) return { kind: 'done', note: 'Nova knows no such server' }
  if (code !== 422)
    return { kind: 'again', why: code === undefined ? 'Nova did not say what became of it' : `Nova: code ${code}` }
  return failures + 1 < PATIENCE
    ? { kind: 'again', why: 'Nova has no host for the server yet' }
    : { kind: 'done', note: 'Nova never had a host for the server' }
}
