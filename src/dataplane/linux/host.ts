/** The real Linux behind `LinuxPort`: iproute2, /proc, /run/netns. */
import { execFile, spawn } from 'node:child_process'
import { mkdir, readdir, readFile, readlink, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { formatIp, parseIp } from '#kernel/ip.ts'
import type { LinkFacts, LinuxPort } from './port.ts'

const exec = promisify(execFile)
const NETNS = '/run/netns'
const env = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`, LC_ALL: 'C' }

export const linuxHost: LinuxPort = {
  run,
  ip: (namespace, commands) =>
    feed('ip', ['-n', namespace, '-batch', '-'], commands.map((line) => `${line}\n`).join('')),
  link,
  namespaces: () => names(NETNS),
  namespaceId: async (name) => {
    const [file, folder] = await Promise.all([orNull(stat(join(NETNS, name))), orNull(stat(NETNS))])
    // A name without a mount is what a half-done deletion leaves.
    return file === null || file.dev === folder?.dev ? null : file.ino
  },
  namespaceOf: async (pid) => {
    const target = await orNull(readlink(`/proc/${pid}/ns/net`))
    return target === null ? null : Number(/\d+/.exec(target)?.[0])
  },
  commandOf: async (pid) => {
    const text = await readText(`/proc/${pid}/cmdline`)
    return text ? text.split('\0').filter((part) => part !== '') : null
  },
  devices: () => devicesOf('self'),
  carries,
  signal: (pid, signal) => {
    try {
      process.kill(pid, signal)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  },
  read: readText,
  write: async (path, text) => {
    await mkdir(dirname(path), { recursive: true, mode: 0o755 })
    await writeFile(`${path}.new`, text, { mode: 0o644 })
    await rename(`${path}.new`, path)
  },
  list: names,
  remove: (dir) => rm(dir, { recursive: true, force: true }),
}

async function run(program: string, args: readonly string[]): Promise<string> {
  return exec(program, [...args], { env, timeout: 20_000, maxBuffer: 16 << 20 }).then(
    ({ stdout }) => stdout,
    (error: Error & { stderr?: string }) => {
      throw new Error(`${program} ${args.join(' ')}: ${error.stderr?.trim() || error.message}`)
    },
  )
}

/** Runs a program that reads its standard input. */
function feed(program: string, args: readonly string[], input: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env, stdio: ['pipe', 'ignore', 'pipe'] })
    let complaint = ''
    child.stderr.on('data', (chunk: Buffer) => (complaint += chunk.toString()))
    child.on('error', reject)
    child.on('close', (code) =>
      code === 0 ? resolve() : reject(new Error(`${program} ${args.join(' ')}: ${complaint.trim()}`)),
    )
    child.stdin.on('error', () => undefined)
    child.stdin.end(input)
  })
}

interface IpLink {
  address: string
  mtu: number
  flags: string[]
  addr_info: { local?: string; prefixlen?: number; scope?: string }[]
}

async function link(namespace: string | null, device: string): Promise<LinkFacts | null> {
  const args = [...(namespace === null ? [] : ['-n', namespace]), '-j', 'address', 'show', 'dev', device]
  const text = await run('ip', args).catch((error: Error) => {
    if (/does not exist|No such file/.test(error.message)) return '[]'
    throw error
  })
  const found = (JSON.parse(text) as Partial<IpLink>[]).find((one) => one.address !== undefined) as IpLink | undefined
  if (!found) return null
  const addresses = found.addr_info
    .filter(({ scope, local }) => scope !== 'link' && local !== undefined)
    .map(({ local, prefixlen }) => `${local}/${prefixlen}`)
  return { mac: found.address, mtu: found.mtu, up: found.flags.includes('UP'), addresses: addresses.sort() }
}

async function devicesOf(pid: number | 'self'): Promise<Set<string>> {
  const text = (await readText(`/proc/${pid}/net/dev`)) ?? ''
  return new Set([...text.matchAll(/^\s*([^\s:]+):/gm)].map(([, name = '']) => name))
}

/** Addresses stand in /proc/…/net/fib_trie (IPv4) and if_inet6. */
async function carries(pid: number, device: string, addresses: readonly string[]): Promise<boolean> {
  if (!(await devicesOf(pid)).has(device)) return false
  const [v4, v6] = await Promise.all(['fib_trie', 'if_inet6'].map((name) => readText(`/proc/${pid}/net/${name}`)))
  const known = new Set([
    ...[...(v4 ?? '').matchAll(/\|-- ([\d.]+)\n\s+\/32 host LOCAL/g)].map(([, ip]) => ip),
    ...[...(v6 ?? '').matchAll(/^([0-9a-f]{32}) /gm)].map(([, hex = '']) =>
      formatIp({ version: 6, value: BigInt(`0x${hex}`) }),
    ),
  ])
  return addresses.every((address) => {
    const ip = parseIp(address.split('/')[0] ?? '')
    return ip !== null && known.has(formatIp(ip))
  })
}

const orNull = <T>(promise: Promise<T>): Promise<T | null> =>
  promise.catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ESRCH' || error.code === 'EINVAL') return null
    throw error
  })

function readText(path: string): Promise<string | null> {
  return orNull(readFile(path, 'utf8'))
}

async function names(dir: string): Promise<string[]> {
  return (await orNull(readdir(dir))) ?? []
}
