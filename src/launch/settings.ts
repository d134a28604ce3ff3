/**
 * Reads the settings of a program from its flags, the environment and `deuteron.yaml`, in this order of precedence.
 *
 * Everything is checked once, at start: all problems are reported together, each naming where the value came from.
 * What comes out is frozen, typed, and knows the source of every value.
 */
import { existsSync, readFileSync } from 'node:fs'
import { isAbsolute, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { parseDocument } from 'yaml'
import { type AgentSettings, agentFields } from './setting-agent.ts'
import type { Fields } from './setting-field.ts'
import { type ServerSettings, serverFields } from './setting-fields.ts'
import { torClashes } from './setting-tor.ts'
import { errnoOf, UserError } from './user-error.ts'

export type { AgentSettings } from './setting-agent.ts'
export type { ServerSettings } from './setting-fields.ts'

export type Program = 'server' | 'agent'
export interface SettingsOf {
  readonly server: ServerSettings
  readonly agent: AgentSettings
}

export interface Loaded<S> {
  readonly settings: S
  /** "default", "DEUTERON_…", "--flag" or the file's path with its key, by setting. */
  readonly sources: Readonly<Record<string, string>>
  /** What stood on the command line besides settings. */
  readonly positionals: readonly string[]
  /** Flags given to `extraFlags`. */
  readonly extra: Readonly<Record<string, string | boolean | undefined>>
  readonly configFile: string | null
}

export type Env = Readonly<Record<string, string | undefined>>
/** Flags a command takes besides the settings: name → whether it takes a value. */
export type ExtraFlags = Readonly<Record<string, 'string' | 'boolean'>>

const FIELDS: { readonly server: Fields; readonly agent: Fields } = { server: serverFields, agent: agentFields }
const CONFIG_FILE = 'deuteron.yaml'
/** Variables with our prefix that are no settings; ROLE tells a worker of the server what it is. */
const OTHER_ENV = /^DEUTERON_(CONFIG$|ROLE$|TEST_|LAB_)/

export const fileKey = (key: string): string => key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
export const envName = (key: string): string => `DEUTERON_${fileKey(key).toUpperCase()}`
export const flagName = (fields: Fields, key: string): string => fields[key]?.flag ?? fileKey(key).replaceAll('_', '-')

/**
 * Settings of `program`. Throws one UserError that lists every problem found: unknown flags, variables and keys,
 * values that cannot be read, combinations that cannot work.
 */
export const loadSettings = <P extends Program>(
  program: P,
  argv: readonly string[],
  env: Env,
  extraFlags: ExtraFlags = {},
): Loaded<SettingsOf[P]> => {
  const fields = FIELDS[program]
  const problems: string[] = []
  const flags = readFlags(fields, argv, extraFlags, problems)
  const file = readFile(program, fields, flags.values, env, problems)
  checkEnvironment(env, problems)
  const values: Record<string, unknown> = {}
  const sources: Record<string, string> = {}
  for (const [key, field] of Object.entries(fields)) {
    const given = [
      { raw: flags.values[flagName(fields, key)], source: `--${flagName(fields, key)}` },
      { raw: env[envName(key)], source: envName(key) },
      { raw: file.values[fileKey(key)], source: `${fileKey(key)} in ${file.path}` },
    ].find(({ raw }) => raw !== undefined)
    const parsed = given ? field.kind.parse(given.raw) : { ok: field.default }
    if ('ok' in parsed) values[key] = parsed.ok
    else problems.push(`${given?.source} ${parsed.must}${field.secret ? '' : `, not ${JSON.stringify(given?.raw)}`}`)
    sources[key] = given?.source ?? 'default'
  }
  if (sources['feedPort'] === 'default') values['feedPort'] = besidePort(values['listenPort'])
  if (problems.length === 0) problems.push(...clashes(program, values))
  if (problems.length > 0) throw new UserError(sentence(problems))
  return {
    settings: Object.freeze(absolutePaths(values)) as unknown as SettingsOf[P],
    sources,
    positionals: flags.positionals,
    extra: flags.extra,
    configFile: file.exists ? file.path : null,
  }
}

/** The feed's port when none is given: the one after the API's, so that two servers need only two `--port`. */
const besidePort = (listen: unknown): number => (listen === 65_535 ? 65_534 : Number(listen) + 1)

const sentence = (problems: readonly string[]): string =>
  problems.length === 1
    ? `${problems[0]}.`
    : `These settings cannot be used:\n${problems.map((one) => `  - ${one}`).join('\n')}`

interface Flags {
  readonly values: Record<string, unknown>
  readonly extra: Record<string, string | boolean | undefined>
  readonly positionals: string[]
}

const readFlags = (fields: Fields, argv: readonly string[], extraFlags: ExtraFlags, problems: string[]): Flags => {
  const options: Record<string, { type: 'string' | 'boolean' }> = { config: { type: 'string' } }
  for (const [key, field] of Object.entries(fields)) {
    options[flagName(fields, key)] = { type: field.kind.isFlag ? 'boolean' : 'string' }
  }
  for (const [name, type] of Object.entries(extraFlags)) options[name] = { type }
  const { tokens } = parseArgs({ args: [...argv], options, strict: false, allowPositionals: true, tokens: true })
  const flags: Flags = { values: {}, extra: {}, positionals: [] }
  for (const token of tokens) {
    if (token.kind === 'positional') flags.positionals.push(token.value)
    if (token.kind !== 'option') continue
    const negated = token.name.startsWith('no-') && options[token.name.slice(3)]?.type === 'boolean'
    const name = negated ? token.name.slice(3) : token.name
    const option = options[name]
    if (!option)
      problems.push(
        unknown(
          'flag',
          `--${name}`,
          Object.keys(options).map((known) => `--${known}`),
        ),
      )
    else if (option.type === 'string' && token.value === undefined) problems.push(`--${name} needs a value`)
    else if (name in extraFlags) flags.extra[name] = token.value ?? !negated
    else flags.values[name] = token.value ?? !negated
  }
  return flags
}

interface ConfigFile {
  readonly path: string
  readonly exists: boolean
  readonly values: Record<string, unknown>
}

/** `--config`, DEUTERON_CONFIG, else deuteron.yaml in the data or state folder, which need not exist. */
const readFile = (
  program: Program,
  fields: Fields,
  flags: Record<string, unknown>,
  env: Env,
  problems: string[],
): ConfigFile => {
  const named = flags['config'] ?? env['DEUTERON_CONFIG']
  const folderKey = program === 'server' ? 'dataDir' : 'stateDir'
  const folder = flags[flagName(fields, folderKey)] ?? env[envName(folderKey)] ?? fields[folderKey]?.default
  const path = resolve(typeof named === 'string' ? named : join(String(folder), CONFIG_FILE))
  if (!named && !existsSync(path)) return { path, exists: false, values: {} }
  const empty = { path, exists: true, values: {} }
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    problems.push(`${path} cannot be read (${errnoOf(error)})`)
    return empty
  }
  const document = parseDocument(text)
  if (document.errors[0]) {
    problems.push(`${path} is not YAML: ${document.errors[0].message.split('\n')[0]}`)
    return empty
  }
  const values = (document.toJS() ?? {}) as unknown
  if (typeof values !== 'object' || Array.isArray(values)) {
    problems.push(`${path} must hold "key: value" lines`)
    return empty
  }
  const known = [...Object.keys(serverFields), ...Object.keys(agentFields)].map(fileKey)
  for (const key of Object.keys(values as object)) {
    if (!known.includes(key)) problems.push(`${unknown('key', key, known)} in ${path}`)
  }
  return { path, exists: true, values: values as Record<string, unknown> }
}

const checkEnvironment = (env: Env, problems: string[]): void => {
  const known = [...Object.keys(serverFields), ...Object.keys(agentFields)].map(envName)
  for (const name of Object.keys(env)) {
    if (name.startsWith('DEUTERON_') && !known.includes(name) && !OTHER_ENV.test(name)) {
      problems.push(unknown('variable', name, known))
    }
  }
}

const unknown = (what: string, name: string, known: readonly string[]): string => {
  const near = nearest(name, known)
  return `there is no ${what} ${name}${near ? ` (did you mean ${near}?)` : ''}`
}

/** The known word fewest edits away, if it is near enough to be a typing error. */
export const nearest = (word: string, known: readonly string[]): string | null => {
  const ranked = known.map((one) => ({ one, far: distance(word, one) })).sort((a, b) => a.far - b.far)
  return ranked[0] && ranked[0].far <= (word.length < 4 ? 1 : Math.max(2, word.length / 4)) ? ranked[0].one : null
}

/** Edits between two words: letters put in, left out, replaced, or two neighbours swapped. */
const distance = (a: string, b: string): number => {
  const rows = [Array.from({ length: b.length + 1 }, (_, i) => i)]
  const at = (i: number, j: number): number => rows[i]?.[j] ?? Number.POSITIVE_INFINITY
  for (let i = 1; i <= a.length; i++) {
    rows.push([i])
    for (let j = 1; j <= b.length; j++) {
      const swapped =
        i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? at(i - 2, j - 2) + 1 : at(-1, 0)
      const replaced = at(i - 1, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1)
      rows[i]?.push(Math.min(at(i - 1, j) + 1, at(i, j - 1) + 1, replaced, swapped))
    }
  }
  return at(a.length, b.length)
}

const isLoopback = (host: string): boolean => host === '::1' || host.startsWith('127.')

/** Values that are well formed each and cannot work together. */
const clashes = (program: Program, values: Record<string, unknown>): string[] => {
  if (program === 'agent') return agentClashes(values as unknown as AgentSettings)
  const one = values as unknown as ServerSettings
  const problems: string[] = []
  const open = [one.listenHost, one.feedHost].filter((host) => !isLoopback(host))
  if (open[0] && one.identity !== 'keystone' && !one.insecureListen) {
    problems.push(
      `identity ${one.identity} is for this machine alone, and ${open[0]} can be reached from others: use --identity keystone, or --insecure-listen if you mean it`,
    )
  }
  if (one.listenPort === one.feedPort && one.listenHost === one.feedHost) {
    problems.push(`listen_port and feed_port are both ${one.listenPort}: choose two`)
  }
  if ((one.feedTlsCertificate === null) !== (one.feedTlsKey === null)) {
    problems.push('feed_tls_certificate and feed_tls_key need each other')
  }
  if (!isLoopback(one.feedHost) && one.feedTlsCertificate === null && !one.insecureListen) {
    problems.push(
      `feed_host ${one.feedHost} can be reached from other machines: give feed_tls_certificate and feed_tls_key, or --insecure-listen if the wire is yours`,
    )
  }
  if (one.heartbeatInterval * 2 > one.agentDownTime) {
    problems.push('heartbeat_interval must be at most half of agent_down_time')
  }
  if (one.identity === 'keystone') problems.push(...keystoneClashes(one))
  return [...problems, ...torClashes(one)]
}

/** Keystone has an address, and this server one way of saying who it is. */
const keystoneClashes = (one: ServerSettings): string[] => {
  const problems: string[] = []
  if (one.keystoneAuthUrl === null) problems.push('identity keystone needs keystone_auth_url')
  const { keystoneUsername: user, keystonePassword: password } = one
  const { keystoneApplicationCredentialId: id, keystoneApplicationCredentialSecret: secret } = one
  const given = (first: unknown, second: unknown): number => Number(first !== null) + Number(second !== null)
  if (given(user, password) === 1) problems.push('keystone_username and keystone_password need each other')
  if (given(id, secret) === 1)
    problems.push('keystone_application_credential_id and keystone_application_credential_secret need each other')
  if (given(user, password) + given(id, secret) === 0)
    problems.push(
      'identity keystone needs keystone_username and keystone_password, or keystone_application_credential_id and keystone_application_credential_secret',
    )
  if (given(user, password) > 0 && given(id, secret) > 0)
    problems.push('give either keystone_username or keystone_application_credential_id, not both')
  return problems
}

/** Whether a server's URL leads off this machine without TLS. */
const isOpenWire = (server: string): boolean => {
  const { protocol, hostname } = new URL(server)
  return protocol === 'ws:' && hostname !== 'localhost' && !isLoopback(hostname.replace(/^\[|\]$/g, ''))
}

const agentClashes = (one: AgentSettings): string[] => {
  const problems: string[] = []
  const open = one.serverUrls.find(isOpenWire)
  if (open && !one.insecureServer) {
    problems.push(
      `server ${open} is on another machine: use wss:// with --tls-ca, or --insecure-server if the wire is yours`,
    )
  }
  if (one.serverUrls.length === 0) problems.push('server_urls must name a server')
  return problems
}

const PATHS = [
  'dataDir',
  'stateDir',
  'identityFile',
  'policyFile',
  'policyDir',
  'credentialFile',
  'tlsCa',
  'feedTlsCertificate',
  'feedTlsKey',
  'keystoneCafile',
  'outboxCafile',
]

/**
 * The paths among these settings as flags: for a program that is started in another folder with the same flags, where
 * the last of two holds.
 */
export const pathFlags = ({ settings, sources, configFile }: Loaded<ServerSettings>): string[] => [
  ...(configFile === null ? [] : ['--config', configFile]),
  ...[...PATHS, 'mechanismDrivers'].flatMap((key) => {
    const field = (serverFields as Fields)[key]
    if (!field || sources[key] === 'default') return []
    return [`--${flagName(serverFields, key)}`, field.kind.print(settings[key as keyof ServerSettings])]
  }),
]

const absolutePaths = (values: Record<string, unknown>): Record<string, unknown> => {
  const made = { ...values }
  for (const key of PATHS) {
    const value = made[key]
    if (typeof value === 'string' && !isAbsolute(value)) made[key] = resolve(value)
  }
  return made
}
