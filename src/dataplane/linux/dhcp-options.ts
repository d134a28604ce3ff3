/**
 * What ports ask of DHCP besides what their subnets say (`extra_dhcp_opts`), in dnsmasq's words. Pure.
 *
 * Names and values come from tenants. A name is a number or a word, so it cannot begin another directive; of a value,
 * what a line of dnsmasq's would take for something else is quoted. Commas stay: after the name they part values.
 * Whether dnsmasq knows the name and takes the value, it is asked itself (`dhcp-check.ts`).
 */
import type { DhcpOptionObject, PortObject } from '#wire/objects.ts'

/** One option of one port; `body` is its line of `dhcp-optsfile` without the port's tag. */
export interface PortOption {
  readonly port: string
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

/** What marks requests of a port; set by the host's line, asked for by the lines of its options. */
export const portTag = (port: string): string => `p${port.replaceAll(/[^\w]/g, '')}`

/** A request by iPXE: it names option 175 (IPv4) or a user class (IPv6). */
export const CLIENT_TAGS: readonly string[] = ['dhcp-match=set:ipxe,175', 'dhcp-userclass=set:ipxe6,iPXE']
const NAME = /^(?:(tag:!?ipxe6?),)?([A-Za-z][\w+-]*|\d{1,5})$/
/** dnsmasq reads 1024 bytes of a line; what follows would be a line of its own. */
const LINE_BYTES = 1000
const LAST_CODE = { 4: 255, 6: 65_535 }

/** `othersMacs`: of the other ports of the network; a client identifier made of one would take its owner's requests. */
export function askedBy(port: PortObject, othersMacs: ReadonlySet<string>): Asked {
  const options: PortOption[] = []
  const leftOut: LeftOut[] = []
  const clientIds: Partial<Record<4 | 6, string>> = {}
  for (const option of port.extra_dhcp_opts) {
    const { opt_name: name, opt_value: value, ip_version: version } = option
    const why = problemOf(option, othersMacs)
    if (why !== null) leftOut.push({ port: port.id, name, why })
    else if (isClientId(option)) clientIds[version] = quoted(value, /[\s"#\\,]+/g)
    else options.push({ port: port.id, name, body: bodyOf(option) })
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

function problemOf(option: DhcpOptionObject, othersMacs: ReadonlySet<string>): string | null {
  const { opt_name, opt_value, ip_version } = option
  if (!NAME.test(opt_name)) return 'it is neither the name nor the number of an option'
  // oxlint-disable-next-line no-control-regex -- dnsmasq hides characters behind them
  if (/[\u0000-\u001f\u007f]/.test(opt_value)) return 'its value has control characters'
  const code = Number(opt_name.split(',').at(-1))
  if (code < 1 || code > LAST_CODE[ip_version]) return 'there is no option of that number'
  if (Buffer.byteLength(bodyOf(option)) > LINE_BYTES) return 'its value is too long'
  if (!isClientId(option)) return null
  if (opt_value.trim() === '' || Buffer.byteLength(opt_value) > 255) return 'a client identifier has 1 to 255 bytes'
  return othersMacs.has(opt_value.toLowerCase().replace(/^(01|ff):(?=(..:){5}..$)/, '')) ? "it is another port's" : null
}

/** One sentence for the port's report; null when it gets all it asked for. */
export function sayLeftOut(leftOut: readonly LeftOut[]): string | null {
  const [first] = leftOut
  if (!first) return null
  const more = leftOut.length === 1 ? '' : `; ${leftOut.length - 1} more are left out`
  return `DHCP option '${first.name}' is left out: ${first.why}${more}`
}
