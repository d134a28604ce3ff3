/** `extra_dhcp_opts`: DHCP options a port asks for besides its network's. */
import { defineExtension, type Draft, list, Reject, structure, type Write } from '#model/define.ts'

interface Option {
  readonly opt_name: string
  /** Null in an update: the option goes. */
  readonly opt_value: string | null
  readonly ip_version?: number
}

/** Options that mean something when they are empty: no router, no routes. */
const BLANK: readonly string[] = ['router', 'classless-static-route']
const MAX_NAME = 64
const MAX_VALUE = 255

const line = (value: unknown, max: number): string => {
  if (typeof value !== 'string') throw new Reject(`'${String(value)}' is not a valid string`)
  if (value.length > max) throw new Reject(`'${value}' exceeds maximum length of ${max}`)
  if (/\p{Cc}/u.test(value) || !value.isWellFormed())
    throw new Reject(`'${JSON.stringify(value).slice(1, -1)}' has characters that a line may not have`)
  return value
}

const parseName = (value: unknown): string => {
  const name = line(value, MAX_NAME)
  if (name.trim() === '') throw new Reject('the name of a DHCP option is empty')
  return name
}
const parseVersion = (value: unknown): number => {
  if (Number(value) === 4 || Number(value) === 6) return Number(value)
  throw new Reject(`'${String(value)}' is not in [4, 6]`)
}

const fields = structure<Option>({
  opt_name: { schema: { type: 'string', minLength: 1, maxLength: MAX_NAME }, parse: parseName, required: true },
  opt_value: {
    schema: { anyOf: [{ type: 'string', maxLength: MAX_VALUE }, { type: 'null' }] },
    parse: (value) => (value === null ? null : line(value, MAX_VALUE)),
    required: true,
  },
  ip_version: { schema: { type: 'integer', enum: [4, 6] }, parse: parseVersion },
})
const option = {
  schema: fields.schema,
  parse: (value: unknown): Option => {
    const parsed = fields.parse(value)
    if (parsed.opt_value?.trim() === '' && !BLANK.includes(parsed.opt_name))
      throw new Reject(`the DHCP option '${parsed.opt_name}' needs a value`)
    return parsed
  },
}

const keyOf = ({ opt_name, ip_version = 4 }: Option): string => `${ip_version} ${opt_name}`

/** What the port has after an update: options given replace those of their name and version, null removes one. */
export function merged(held: readonly Option[], given: readonly Option[]): Option[] {
  const options = new Map(held.map((one) => [keyOf(one), one]))
  for (const one of given) {
    if (one.opt_value === null) options.delete(keyOf(one))
    else options.set(keyOf(one), { ip_version: 4, ...one })
  }
  return [...options.values()]
}

const held = (object: Readonly<Draft> | null): readonly Option[] =>
  (object?.['extra_dhcp_opts'] ?? []) as readonly Option[]

export const extraDhcpOpts = defineExtension({
  alias: 'extra_dhcp_opt',
  name: 'Neutron Extra DHCP options',
  description: 'DHCP options chosen per port, as for booting from the network.',
  updated: '2013-03-17T12:00:00-00:00',
  on: {
    port: {
      attributes: {
        extra_dhcp_opts: {
          ...list(option, { set: 'always', default: [] }),
          // A client may say null for none.
          parse: (value: unknown) => (value === null ? [] : list(option).parse(value)),
        },
      },
      async inTx(_, { before, after, given }: Write) {
        if (!after || !given.has('extra_dhcp_opts')) return undefined
        return { extra_dhcp_opts: merged(held(before), held(after)) }
      },
    },
  },
})
