/** What the tour does inside VMs: pings, connections, forged packets; each answers what was seen, none decides. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { inNamespace, run, tryRun } from '../exec.ts'
import { vmNamespace } from '../names.ts'
import type { Lab, VmState } from '../state.ts'

const KNOCK = fileURLToPath(new URL('../probe/knock.ts', import.meta.url))

const within = (lab: Lab, vm: VmState, argv: readonly string[]): string[] =>
  inNamespace(vmNamespace(lab.spec.name, vm.name), argv)

export interface Pinged {
  readonly sent: number
  readonly received: number
  /** Mean round trip, ms; 0 without an answer. */
  readonly mean: number
}

/** Pings `count` times, 50 ms apart, waiting a second for the last answer. */
export const ping = async (
  lab: Lab,
  vm: VmState,
  to: string,
  count = 10,
  extra: readonly string[] = [],
): Promise<Pinged> => {
  const { stdout } = await tryRun(
    within(lab, vm, ['ping', '-q', '-c', String(count), '-i', '0.05', '-W', '1', ...extra, to]),
  )
  return parsePing(stdout)
}

/** Pure. The summary of iputils' ping. */
export const parsePing = (text: string): Pinged => {
  const counts = /(\d+) packets transmitted, (\d+)(?: packets)? received/.exec(text)
  const mean = /= [\d.]+\/([\d.]+)\//.exec(text)
  return { sent: Number(counts?.[1] ?? 0), received: Number(counts?.[2] ?? 0), mean: Number(mean?.[1] ?? 0) }
}

/** The MAC address the VM has resolved `ip` to, or null. */
export const resolved = async (lab: Lab, vm: VmState, ip: string): Promise<string | null> => {
  const text = await run(['ip', '-n', vmNamespace(lab.spec.name, vm.name), 'neigh', 'show', ip])
  return /lladdr (\S+)/.exec(text)?.[1] ?? null
}

/** Listens on these ports inside the VM, TCP and UDP, until disposed. */
export const listenIn = async (lab: Lab, vm: VmState, ports: readonly number[]): Promise<AsyncDisposable> => {
  const argv = within(lab, vm, [process.execPath, KNOCK, 'listen', ...ports.map(String)])
  const child = spawn(argv[0] ?? '', argv.slice(1), { stdio: ['pipe', 'pipe', 'inherit'] })
  await new Promise<void>((ready, fail) => {
    child.stdout.once('data', () => ready())
    child.once('error', fail)
    child.once('exit', (code) => fail(new Error(`the listener in VM ${vm.name} ended (${code})`)))
  })
  return {
    [Symbol.asyncDispose]: async () => {
      const gone = new Promise((done) => child.once('exit', done))
      child.stdin.end()
      await gone
    },
  }
}

/** True when something in `vm` gets an answer over TCP or UDP within a second. */
export const knock = async (lab: Lab, vm: VmState, kind: 'tcp' | 'udp', to: string, port: number): Promise<boolean> =>
  (await tryRun(within(lab, vm, [process.execPath, KNOCK, kind, to, String(port), '1000']))).code === 0

/** Pings with an address that is not the port's. */
export const pingForgedIp = async (lab: Lab, vm: VmState, forged: string, to: string): Promise<Pinged> => {
  const ns = vmNamespace(lab.spec.name, vm.name)
  await run(['ip', '-n', ns, 'addr', 'add', `${forged}/32`, 'dev', 'eth0'])
  try {
    return await ping(lab, vm, to, 5, ['-I', forged])
  } finally {
    await run(['ip', '-n', ns, 'addr', 'del', `${forged}/32`, 'dev', 'eth0'])
  }
}

/** Pings with a MAC address that is not the port's. */
export const pingForgedMac = async (lab: Lab, vm: VmState, forged: string, to: string): Promise<Pinged> => {
  const ns = vmNamespace(lab.spec.name, vm.name)
  const set = (mac: string): Promise<string> => run(['ip', '-n', ns, 'link', 'set', 'eth0', 'address', mac])
  await set(forged)
  try {
    return await ping(lab, vm, to, 5)
  } finally {
    await set(vm.mac)
  }
}

/** Milliseconds until a ping from `vm` to `to` is answered again; null when that takes longer than `timeout`. */
export const untilAnswered = async (lab: Lab, vm: VmState, to: string, timeout: number): Promise<number | null> => {
  const began = performance.now()
  while (performance.now() - began < timeout)
    if ((await tryRun(within(lab, vm, ['ping', '-q', '-c', '1', '-W', '0.1', to]))).code === 0)
      return performance.now() - began
  return null
}
