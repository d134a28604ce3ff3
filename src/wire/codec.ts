/**
 * Messages to text and back. What arrives is checked against its shape before anyone uses it; a fault names the place
 * (`put[3][2].mtu: expected whole number`), because the other side may be another build or not ours at all.
 */
import type { FromAgent, FromServer, Frame, Heartbeat, Hello, Refusal, Report, Welcome } from './messages.ts'
import { splitKey, type WireKey, type WireObject } from './objects.ts'
import type { Realization } from './realization.ts'
import { anything, flag, list, map, nullable, oneOf, record, type Shape, text, whole } from './shape.ts'
import { convertUp, isWireType, type SpokenVersions, shapeOf } from './versions.ts'

/** What arrived is not a message of this protocol; the text is one sentence for the log. */
export class WireError extends Error {
  override readonly name = 'WireError'
}

const hello: Shape<Hello> = record({
  type: oneOf('hello'),
  protocol: whole,
  host: text,
  agent_version: text,
  versions: map(list(whole)),
  have: map(text),
  position: nullable(text),
})
const heartbeat: Shape<Heartbeat> = record({
  type: oneOf('heartbeat'),
  configurations: map(anything),
  started_at: text,
})
const realization: Shape<Realization> = record({
  kind: oneOf('port', 'network', 'security_group', 'router'),
  id: text,
  generation: whole,
  state: oneOf('pending', 'done', 'error', 'unsupported'),
  message: nullable(text),
  repaired: flag,
  at: text,
})
const report: Shape<Report> = record({ type: oneOf('report'), realizations: list(realization) })
const ack: Shape<FromAgent> = record({ type: oneOf('ack'), frame: whole })

const refused: Shape<Refusal> = record({
  type: oneOf('refused'),
  reason: oneOf(
    'protocol_unknown',
    'versions_unknown',
    'credential_missing',
    'credential_bad',
    'credential_revoked',
    'credential_foreign',
    'host_taken',
  ),
  message: text,
})
const welcome: Shape<Omit<Welcome, 'versions'>> = record({
  type: oneOf('welcome'),
  server: text,
  versions: map(whole),
  heartbeat_interval_ms: whole,
})
const frame = record({
  type: oneOf('frame'),
  frame: whole,
  put: list(list(anything)),
  drop: list(text),
  position: text,
  in_sync: flag,
})

const fromAgent: Readonly<Record<string, Shape<unknown>>> = { hello, heartbeat, report, ack }
const fromServer: Readonly<Record<string, Shape<unknown>>> = { refused, welcome, frame }

function decode(raw: string, shapes: Readonly<Record<string, Shape<unknown>>>): unknown {
  let message: unknown
  try {
    message = JSON.parse(raw)
  } catch {
    throw new WireError('a message is not JSON')
  }
  const type = (message as { type?: unknown } | null)?.type
  const shape = typeof type === 'string' && Object.hasOwn(shapes, type) ? shapes[type] : undefined
  if (!shape) throw new WireError(`type: expected one of ${Object.keys(shapes).join(', ')}`)
  const fault = shape.fault(message, '')
  if (fault) throw new WireError(fault)
  return message
}

export const encode = (message: FromAgent | Refusal | Welcome): string => JSON.stringify(message)

/** Throws WireError. */
export const decodeFromAgent = (raw: string): FromAgent => decode(raw, fromAgent) as FromAgent

/** Objects come out in their newest version. `versions` is what the welcome said. Throws WireError. */
export function decodeFromServer(raw: string, versions: SpokenVersions): FromServer {
  const message = decode(raw, fromServer) as FromServer
  if (message.type !== 'frame') return message
  return { ...message, put: message.put.map((entry, index) => decodePut(entry, index, versions)) }
}

function decodePut(entry: readonly unknown[], index: number, versions: SpokenVersions): Frame['put'][number] {
  const [key, print, object] = entry
  const at = `put[${index}]`
  if (typeof key !== 'string' || typeof print !== 'string')
    throw new WireError(`${at}: expected key, fingerprint, object`)
  const { type, id } = splitKey(key as WireKey)
  const version = isWireType(type) ? versions[type] : undefined
  if (version === undefined) throw new WireError(`${at}[0]: type '${type}' was not agreed on`)
  const fault = shapeOf(type, version)?.fault(object, `${at}[2]`)
  if (fault) throw new WireError(`${key} in version ${version}: ${fault}`)
  if ((object as { id: string }).id !== id) throw new WireError(`${at}[2].id: expected ${id}`)
  return [key as WireKey, print, convertUp(type, object, version) as WireObject]
}

/** One element of a frame's `put`, as text: built once per object and version, sent to many. */
export const encodePut = (key: WireKey, print: string, object: unknown): string =>
  `[${JSON.stringify(key)},"${print}",${JSON.stringify(object)}]`

/** A frame around elements that `encodePut` made. */
export const encodeFrame = (frame: Omit<Frame, 'type' | 'put'> & { readonly put: readonly string[] }): string =>
  `{"type":"frame","frame":${frame.frame},"put":[${frame.put.join(',')}],"drop":${JSON.stringify(frame.drop)},` +
  `"position":${JSON.stringify(frame.position)},"in_sync":${frame.in_sync}}`
