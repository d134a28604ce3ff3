/** Settings of hardware VTEPs (ToRs): where their databases are, and which hosts are below them by which port. */
import { group } from './setting-field.ts'
import { type Kind, optional, path } from './setting-kinds.ts'

export interface TorValue {
  readonly name: string
  /** Of its database. */
  readonly target: string
  readonly physicalNetwork: string
  /** Its name in its own database. */
  readonly switch: string
  /** Physical port by the host it leads to. */
  readonly ports: Readonly<Record<string, string>>
}

const EXAMPLE =
  'name=tor1,target=ssl:192.0.2.1:6640,physical-network=physnet-tor1,ports=h1:eth1;h2:eth2, several with spaces between'
const TARGET = /^(unix:\/.+|(tcp|ssl):(\[[0-9a-fA-F:.]+\]|[^\s:]+):\d{1,5})$/
const NAME = /^[A-Za-z0-9_.-]{1,255}$/
const WORD = /^[^\s,;]+$/

/** ToRs: a YAML list of mappings, or text with a word a ToR, `key=value,…`; `ports` is a mapping or `host:port;…`. */
export const tors = (): Kind<readonly TorValue[]> => ({
  name: 'list of ToRs',
  parse: (raw) => {
    const items = Array.isArray(raw) ? raw : typeof raw === 'string' ? raw.split(/\s+/).filter(Boolean) : [raw]
    const values = items.map(torOf)
    const bad = values.indexOf(null)
    if (bad >= 0) return { must: `hold ToRs such as ${EXAMPLE}; entry ${bad + 1} is not one` }
    const all = values.filter((value) => value !== null)
    for (const key of ['name', 'physicalNetwork'] as const)
      if (new Set(all.map((tor) => tor[key])).size < all.length)
        return { must: `give each ToR a ${key === 'name' ? 'name' : 'physical network'} of its own` }
    return { ok: Object.freeze(all) }
  },
  print: (values) => values.map(printed).join(' '),
})

function torOf(raw: unknown): TorValue | null {
  const fields = typeof raw === 'string' ? pairsOf(raw, ',', '=') : raw
  if (fields === null || typeof fields !== 'object' || Array.isArray(fields)) return null
  const given = new Map(Object.entries(fields).map(([key, value]) => [key.replaceAll('_', '-'), value]))
  const text = (key: string, pattern: RegExp): string | null => {
    const value = String(given.get(key) ?? '')
    return pattern.test(value) ? value : null
  }
  const [name, target] = [text('name', NAME), text('target', TARGET)]
  const [physicalNetwork, ports] = [text('physical-network', WORD), portsOf(given.get('ports'))]
  const own = given.has('switch') ? text('switch', WORD) : name
  const known = [...given.keys()].every((key) =>
    ['name', 'target', 'physical-network', 'switch', 'ports'].includes(key),
  )
  if (name === null || target === null || physicalNetwork === null || own === null || ports === null || !known)
    return null
  return Object.freeze({ name, target, physicalNetwork, switch: own, ports })
}

function portsOf(raw: unknown): Readonly<Record<string, string>> | null {
  const pairs = typeof raw === 'string' ? pairsOf(raw, ';', ':') : raw
  if (pairs === null || typeof pairs !== 'object' || Array.isArray(pairs)) return null
  const all = Object.entries(pairs).map(([host, port]) => [host, String(port)] as const)
  return all.length > 0 && all.every(([host, port]) => NAME.test(host) && WORD.test(port))
    ? Object.freeze(Object.fromEntries(all))
    : null
}

/** Null: something in it is no pair, or a key comes twice. */
function pairsOf(text: string, between: string, within: string): Record<string, string> | null {
  const pairs = text.split(between).map((pair): [string, string] => {
    const at = pair.indexOf(within)
    return [pair.slice(0, Math.max(at, 0)), pair.slice(at + 1)]
  })
  const keys = new Set(pairs.map(([key]) => key))
  return keys.has('') || keys.size < pairs.length ? null : Object.fromEntries(pairs)
}

const printed = (tor: TorValue): string => {
  const ports = Object.entries(tor.ports).map(([host, port]) => `${host}:${port}`)
  const own = tor.switch === tor.name ? '' : `,switch=${tor.switch}`
  return `name=${tor.name},target=${tor.target},physical-network=${tor.physicalNetwork}${own},ports=${ports.join(';')}`
}

const hardware = group('Hardware switches')

export const torFields = {
  tors: hardware(
    tors(),
    [],
    'Switches that end VXLAN for hosts below them (hardware VTEPs), configured through their OVSDB; each has a physical network whose VLANs lead to its hosts.',
    { flag: 'tor' },
  ),
  torTlsCertificate: hardware(
    optional(path()),
    null,
    'PEM file with the certificate shown to switches at `ssl:` targets.',
  ),
  torTlsKey: hardware(optional(path()), null, 'PEM file with the key of that certificate.'),
  torTlsCa: hardware(optional(path()), null, "PEM file of the authority that signed the switches' certificates."),
} as const

/** What cannot work together. */
export function torClashes(one: {
  readonly tors: readonly TorValue[]
  readonly torTlsCertificate: string | null
  readonly torTlsKey: string | null
  readonly torTlsCa: string | null
}): string[] {
  const secure = one.tors.filter(({ target }) => target.startsWith('ssl:')).map(({ name }) => name)
  const complete = one.torTlsCertificate !== null && one.torTlsKey !== null && one.torTlsCa !== null
  return secure.length > 0 && !complete
    ? [`the ssl: target of ${secure.join(', ')} needs tor_tls_certificate, tor_tls_key and tor_tls_ca`]
    : []
}
