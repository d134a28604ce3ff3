/**
 * The cards of a Linux host: which function a PCI address is (sysfs), how it is set up (iproute2), and the macvtap devices
 * that there are. Beside them the cards of a laboratory, which are a file.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { readdir, readlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { LinuxPort } from '../linux/port.ts'
import { type MacvtapState, UNUSED, type VfState } from './plan.ts'

/** What is asked of cards. */
export interface Cards {
  /** Nothing of it is real. */
  readonly simulated: boolean
  /** Each as it stands, or in one sentence why that cannot be said. */
  read(slots: Iterable<string>): Promise<ReadonlyMap<string, VfState | string>>
  set(slot: string, to: VfState): Promise<void>
  /** Whether there is a PCI device at this address, whatever it is. */
  has(slot: string): boolean
  /** Names of the host's network interfaces. */
  interfaces(): Promise<ReadonlySet<string>>
  macvtaps(): Promise<readonly MacvtapState[]>
  /** Takes a macvtap device up or down. */
  setMacvtap(name: string, up: boolean): Promise<void>
}

/** As `ip -j link show` prints a function; older versions of iproute2 have no list of VLANs. */
interface IpVf {
  readonly vf: number
  readonly address?: string
  readonly mac?: string
  readonly vlan?: number
  readonly vlan_list?: readonly { readonly vlan?: number }[]
  readonly spoofchk?: boolean
  readonly link_state?: VfState['link']
}
interface IpLink {
  readonly ifname?: string
  readonly address?: string
  readonly link?: string
  readonly flags?: readonly string[]
  readonly vfinfo_list?: readonly IpVf[]
}

const PCI_DEVICES = 'bus/pci/devices'

/** Whether there is a PCI device at this address. */
export const isThere = (slot: string, sysfs = '/sys'): boolean => existsSync(join(sysfs, PCI_DEVICES, slot))

/** A function's number on its card, and the card's interface. */
interface Place {
  readonly card: string
  readonly vf: number
}

/** Functions that nothing is done with: all but those of `cards` (interfaces), and those that are `excluded`. */
export interface Ours {
  readonly cards: readonly string[]
  readonly excluded: readonly string[]
}

/** Throws in one sentence. */
async function findPlace(slot: string, ours: Ours | null, sysfs: string): Promise<Place> {
  if (ours?.excluded.includes(slot)) throw new Error(`${slot} is not to be used (exclude_devices)`)
  if (!isThere(slot, sysfs)) throw new Error(`this host has no PCI device ${slot}`)
  const parent = join(sysfs, PCI_DEVICES, slot, 'physfn')
  if (!existsSync(parent)) throw new Error(`PCI device ${slot} is no virtual function`)
  const [card] = await readdir(join(parent, 'net')).catch(() => [])
  if (card === undefined) throw new Error(`the card of ${slot} has no network interface on this host`)
  if (ours && !ours.cards.includes(card))
    throw new Error(`${card}, the card of ${slot}, is not among those of this host's agent (physical_device_mappings)`)
  for (const name of await readdir(parent)) {
    const number = /^virtfn(\d+)$/.exec(name)?.[1]
    if (number !== undefined && basename(await readlink(join(parent, name))) === slot)
      return { card, vf: Number(number) }
  }
  throw new Error(`the card ${card} does not name ${slot} among its virtual functions`)
}

/** `ours` null: all that the host has. */
export function linuxCards(
  { run, devices }: Pick<LinuxPort, 'run' | 'devices'>,
  ours: Ours | null,
  sysfs = '/sys',
): Cards {
  const placeOf = (slot: string): Promise<Place> => findPlace(slot, ours, sysfs)
  const linkOf = async (card: string): Promise<IpLink | undefined> =>
    (JSON.parse(await run('ip', ['-j', 'link', 'show', 'dev', card])) as IpLink[]).find(({ ifname }) => ifname === card)
  const setVf = ({ card, vf }: Place, ...args: string[]) =>
    run('ip', ['link', 'set', 'dev', card, 'vf', String(vf), ...args])
  return {
    simulated: false,
    read: async (slots) => {
      const links = new Map<string, Promise<IpLink | undefined>>()
      const read = async (slot: string): Promise<VfState> => {
        const { card, vf } = await placeOf(slot)
        if (!links.has(card)) links.set(card, linkOf(card))
        const said = (await links.get(card))?.vfinfo_list?.find((one) => one.vf === vf)
        if (!said) throw new Error(`${card} says nothing of its function ${vf} (${slot})`)
        return stateOf(said)
      }
      const entry = async (slot: string) => [slot, await read(slot).catch((error: Error) => error.message)] as const
      return new Map(await Promise.all([...slots].map(entry)))
    },
    set: async (slot, to) => {
      // One by one: drivers that take one of them and not another say which.
      const place = await placeOf(slot)
      await setVf(place, 'mac', to.mac)
      await setVf(place, 'vlan', String(to.vlan))
      await setVf(place, 'spoofchk', to.spoofchk ? 'on' : 'off')
      await setVf(place, 'state', to.link)
    },
    has: (slot) => isThere(slot, sysfs) && !ours?.excluded.includes(slot),
    interfaces: devices,
    macvtaps: async () => {
      const links = JSON.parse((await run('ip', ['-j', 'link', 'show', 'type', 'macvtap'])) || '[]') as IpLink[]
      return links.flatMap(({ ifname, address, link, flags }) =>
        ifname && address
          ? [{ name: ifname, mac: address, source: link ?? '', up: flags?.includes('UP') ?? false }]
          : [],
      )
    },
    setMacvtap: async (name, up) => {
      await run('ip', ['link', 'set', 'dev', name, up ? 'up' : 'down'])
    },
  }
}

const stateOf = ({ address, mac, vlan, vlan_list, spoofchk, link_state }: IpVf): VfState => ({
  mac: address ?? mac ?? UNUSED.mac,
  vlan: vlan ?? vlan_list?.[0]?.vlan ?? 0,
  spoofchk: spoofchk ?? false,
  link: link_state ?? 'auto',
})

/** A value that is kept in a file, or without one in memory. */
export interface Kept<T> {
  get(): T
  set(value: T): void
}

export function keptIn<T>(file: string | null, first: T): Kept<T> {
  let value = file !== null && existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as T) : first
  return {
    get: () => value,
    set: (next) => {
      value = next
      if (file === null) return
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(`${file}.new`, JSON.stringify(next, null, 2))
      renameSync(`${file}.new`, file)
    },
  }
}

/** Cards for a laboratory: these functions and no others; how each is set up is what `kept` says. */
export const simulatedCards = (
  slots: readonly string[],
  kept: Kept<Readonly<Record<string, VfState>>>,
  real: Pick<Cards, 'interfaces' | 'macvtaps' | 'setMacvtap'>,
): Cards => ({
  ...real,
  simulated: true,
  has: (slot) => slots.includes(slot),
  read: async (asked) =>
    new Map(
      [...asked].map((slot) => [
        slot,
        slots.includes(slot) ? (kept.get()[slot] ?? UNUSED) : `the simulated cards have no ${slot}`,
      ]),
    ),
  set: async (slot, to) => {
    if (!slots.includes(slot)) throw new Error(`the simulated cards have no ${slot}`)
    kept.set({ ...kept.get(), [slot]: to })
  },
})
