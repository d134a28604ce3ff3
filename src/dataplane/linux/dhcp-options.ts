/**
 * What ports ask of DHCP besides what their subnets say (`extra_dhcp_opts`), in dnsmasq's words. Pure.
 *
 * Names and values come from tenants. A name is a number or a word, so it cannot begin another directive; of a value,
 * what a line of dnsmasq's would take for something else is quoted. Commas stay: after the name they part values.
 * Whether dnsmasq knows the name and takes the value, it is asked itself (`dhcp-check.ts`).
 */
import type { DhcpClientObject, DhcpOptionObject, PortObject } from '#wire/objects.ts'

/** One option of one port; `body` is its line of `dhcp-optsfile` without the tags that name the port. */
export interface PortOption {
  readonly port: string
  readonly mac: string
  readonly name: string
  readonly body: string
}

/** An option that is not handed out, and why. */
export interface LeftOut {
  readonly port: string
  readonly name: string
  readonly why: string
}

/** All that one port asks for. */
export interface Asked {
  readonly options: readonly PortOption[]
  readonly leftOut: readonly LeftOut[]
  /** Client identifiers that get the port's addresses, by IP version: in a host's line, not among options. */
  readonly clientIds: Readonly<Partial<Record<4 | 6, string>>>
}

const byteTag = (place: number, byte: string): string => `m${place}${byte}`

/**
 * Each byte of a client's MAC sets a tag of its own, so that six together name any port and no port needs a line that
 * only a restart reads. Tags of `dhcp-hostsfile` would do with less; but dnsmasq (2.90 and before) frees them wrongly
 * when it reads the file again, and dies of it.
 */
export const MAC_TAGS: readonly string[] = [0, 1, 2, 3, 4, 5].flatMap((place) =>
  Array.from({ length: 256 }, (_, value) => {
    const byte = value.toString(16).padStart(2, '0')
    const pattern = Array.from({ length: 6 }, (__, at) => (at === place ? byte : '*')).join(':')
    return `dhcp-mac=set:${byteTag(place, byte)},${pattern}`
  }),
)

/** A line of `dhcp-optsfile` for requests of one port. */
export const optionLine = ({ mac, body }: PortOption): string =>
  [
    ...mac
      .toLowerCase()
      .split(':')
      .map((byte, place) => `tag:${byteTag(place, byte)}`),
    body,
  ].join(',')

/** A request by iPXE: it names option 175 (IPv4) or a user class (IPv6). */
export const CLIENT_TAGS: readonly string[] = ['dhcp-match=set:ipxe,175', 'dhcp-userclass=set:ipxe6,iPXE']
const NAME = /^(?:(tag:!?ipxe6?),)?([A-Za-z][\w+-]*|\d{1,5})$/
/** Of a body. dnsmasq reads 1024 bytes of a line; what follows would be a line of its own. */
const LINE_BYTES = 900
const LAST_CODE = { 4: 255, 6: 65_535 }

/** `macs`: of all ports of the network; a client identifier made of another's would take that port's requests. */
export function askedBy(port: DhcpClientObject | PortObject, macs: ReadonlySet<string>): Asked {
  const options: PortOption[] = []
  const leftOut: LeftOut[] = []
  const clientIds: Partial<Record<4 | 6, string>> = {}
  for (const option of port.extra_dhcp_opts) {
    const { opt_name: name, opt_value: value, ip_version: version } = option
    const why = problemOf(option, port.mac_address, macs)
    if (why !== null) leftOut.push({ port: port.id, name, why })
    else if (isClientId(option)) clientIds[version] = quoted(value, /[\s"#\\,]+/g)
    else options.push({ port: port.id, mac: port.mac_address, name, body: bodyOf(option) })
  }
  return { options, leftOut, clientIds }
}

const isClientId = ({ opt_name, ip_version }: DhcpOptionObject): boolean =>
  opt_name === 'client-id' || (opt_name === '61' && ip_version === 4)

function bodyOf({ opt_name, opt_value, ip_version }: DhcpOptionObject): string {
  const [, clientTag, name = ''] = NAME.exec(opt_name) ?? []
  const numbered = /^\d+$/.test(name)
  const option = ip_version === 6 ? `option6:${name}` : numbered ? name : `option:${name}`
  // Empty: dnsmasq says nothing in place of its own default.
  const value = opt_value.trim() === '' ? [] : [quoted(opt_value, /[\s"#\\]+/g)]
  return [...(clientTag === undefined ? [] : [clientTag]), option, ...value].join(',')
}

/** `special` in quotes, where dnsmasq takes every character as it is but for a backslash and the quote itself. */
const quoted = (text: string, special: RegExp): string =>
  text.replaceAll(special, (run) => `"${run.replaceAll(/["\\]/g, '\\$&')}"`)

function problemOf(option: DhcpOptionObject, mac: string, macs: ReadonlySet<string>): string | null {
  const { opt_name, opt_value, ip_version } = option
  if (!NAME.test(opt_name)) return 'it is neither the name nor the number of an option'
  // oxlint-disable-next-line no-control-regex -- dnsmasq hides characters behind them
  if (/[\u0000-\u001f\u007f]/.test(opt_value)) return 'its value has control characters'
  const code = Number(opt_name.split(',').at(-1))
  if (code < 1 || code > LAST_CODE[ip_version]) return 'there is no option of that number'
  if (Buffer.byteLength(bodyOf(option)) > LINE_BYTES) return 'its value is too long'
  if (!isClientId(option)) return null
  if (opt_value.trim() === '' || Buffer.byteLength(opt_value) > 255) return 'a client identifier has 1 to 255 bytes'
  // Most clients name themselves by the type of their hardware, 01, and their MAC (RFC 2132 §9.14).
  const named = opt_value.toLowerCase().replace(/^01:(?=(..:){5}..$)/, '')
  return named !== mac && macs.has(named) ? "it is another port's" : null
}

/** One sentence for the port's report; null when it gets all it asked for. */
export function sayLeftOut(leftOut: readonly LeftOut[]): string | null {
  const [first] = leftOut
  if (!first) return null
  const more = leftOut.length === 1 ? '' : `; ${leftOut.length - 1} more are left out`
  return `DHCP option '${first.name}' is left out: ${first.why}${more}`
}
