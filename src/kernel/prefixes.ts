/** Sets of addresses as lists of prefixes: joined, subtracted, and always written with as few blocks as there can be. */
import { bits, type IpRange, type IpVersion, type Prefix, rangeOf, rangesOverlap } from './ip.ts'
import { merge, without } from './ranges.ts'

/** The fewest prefixes that hold exactly the addresses of these, in order of address. All of one IP version. */
export const compact = (prefixes: readonly Prefix[]): Prefix[] =>
  prefixes[0] ? merge(prefixes.map(rangeOf)).flatMap((range) => blocksOf(range, versionOf(prefixes))) : []

/** The fewest prefixes that hold what `taken` leaves of `prefixes`. All of one IP version. */
export const subtract = (prefixes: readonly Prefix[], taken: readonly Prefix[]): Prefix[] => {
  const holes = merge(taken.map(rangeOf))
  return merge(prefixes.map(rangeOf)).flatMap((range) =>
    without(range, holes).flatMap((rest) => blocksOf(rest, versionOf(prefixes))),
  )
}

/** Is every address of `inner` in `outer`? */
export const covers = (outer: readonly Prefix[], inner: readonly Prefix[]): boolean =>
  subtract(inner, outer).length === 0

/** Have they an address in common? */
export const overlap = (a: readonly Prefix[], b: readonly Prefix[]): boolean => {
  const held = merge(a.map(rangeOf))
  return b.map(rangeOf).some((range) => held.some((one) => rangesOverlap(one, range)))
}

/** The prefix that has this one as a half. Not for length 0. */
export const parentOf = ({ version, value, length }: Prefix): Prefix => ({
  version,
  value: rangeOf({ version, value, length: length - 1 }).first,
  length: length - 1,
})

/** The other half of the parent. Not for length 0. */
export const siblingOf = ({ version, value, length }: Prefix): Prefix => ({
  version,
  value: value ^ (1n << BigInt(bits(version) - length)),
  length,
})

/** The prefix of each length that holds this one, itself first, the whole address space last. */
export function pathOf(prefix: Prefix): Prefix[] {
  const path = [prefix]
  for (let one = prefix; one.length > 0; path.push(one)) one = parentOf(one)
  return path
}

const versionOf = (prefixes: readonly Prefix[]): IpVersion => (prefixes[0] as Prefix).version

/** The range as the fewest prefixes: each as large as its first address and the end allow. */
function blocksOf({ first, last }: IpRange, version: IpVersion): Prefix[] {
  const out: Prefix[] = []
  for (let value = first; value <= last; ) {
    let length = bits(version)
    let size = 1n
    while (length > 0 && value % (size * 2n) === 0n && value + size * 2n - 1n <= last) {
      size *= 2n
      length--
    }
    out.push({ version, value, length })
    value += size
  }
  return out
}
