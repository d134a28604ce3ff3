/** A lab for a test, made and worked with by its own commands, as an operator does: real processes, HTTP, one folder. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Api, Json } from '#lab/api.ts'
import { type Ran, run, tryRun } from '#lab/exec.ts'
import { bringDown, labApi } from '#lab/lifecycle.ts'
import { hostNamespace, vmNamespace } from '#lab/names.ts'
import { type Lab, openLab, readVm } from '#lab/state.ts'

const able = process.getuid?.() === 0 && existsSync('/usr/sbin/ovs-vswitchd') && existsSync('/usr/sbin/udhcpc')
export const skip = able ? false : 'needs root, Open vSwitch and udhcpc'
const DEUTERON = join(import.meta.dirname, '../../deuteron')

export interface LabRig {
  readonly lab: Lab
  readonly api: Api
  /** Runs `deuteron lab …`. */
  deuteron(...argv: string[]): Promise<Ran>
  /** The same, which has to go well. */
  must(...argv: string[]): Promise<string>
  /** Runs a command inside a host, the router or a VM. */
  inside(place: string, ...command: string[]): Promise<Ran>
  create(kind: string, body: object): Promise<{ readonly id: string } & Json>
  addressOf(vm: string): Promise<string>
  /** Whether a VM hears an answer from there. */
  reaches(vm: string, address: string): Promise<boolean>
  close(): Promise<void>
}

/** `up`: flags of `lab up`. */
export async function labRig(name: string, ...up: string[]): Promise<LabRig> {
  // Below /var/lib: the server's user must reach its data, the database's socket path must be short.
  const root = await mkdtemp(join(existsSync('/var/lib') ? '/var/lib' : tmpdir(), 'dlab-'))
  await run(['chmod', '755', root])
  await bringDown(root, name)
  const env = { ...process.env, DEUTERON_LAB_DIR: root }
  const deuteron = (...argv: string[]): Promise<Ran> =>
    tryRun([DEUTERON, 'lab', ...argv, '--name', name], { env, timeout: 120_000 })
  const must = async (...argv: string[]): Promise<string> => {
    const { code, stdout, stderr } = await deuteron(...argv)
    assert.equal(code, 0, `${argv.join(' ')}: ${stderr}`)
    return stdout
  }
  const inside = (place: string, ...command: string[]): Promise<Ran> => {
    const ns = /^(h\d+|router)$/.test(place) ? hostNamespace(name, place) : vmNamespace(name, place)
    return tryRun(['ip', 'netns', 'exec', ns, ...command])
  }
  await must('up', ...up)
  const lab = (await openLab(root, name)) as Lab
  const api = await labApi(lab)
  return {
    lab,
    api,
    deuteron,
    must,
    inside,
    create: async (kind, body) => (await api.call('POST', `${kind}s`, { [kind]: body }))[kind] as { id: string } & Json,
    addressOf: async (vm) => ((await readVm(lab.paths, vm))?.addresses[0] ?? '').split('/')[0] ?? '',
    reaches: async (vm, address) =>
      (await inside(vm, 'ping', '-q', '-c', '2', '-i', '0.1', '-W', '1', address)).code === 0,
    close: async () => {
      await bringDown(root, name)
      await rm(root, { recursive: true, force: true })
    },
  }
}
