/** Port ranges as value/mask pairs, the only way OpenFlow can match them. */

const BITS = 16
const FULL = (1 << BITS) - 1

/**
 * The fewest `value` or `value/mask` texts that cover min..max exactly (at most 30); none for the whole range.
 * Both ends are within 0..65535.
 */
export function portMasks(min: number, max: number): readonly string[] {
  const masks: string[] = []
  if (min === 0 && max === FULL) return masks
  let first = min
  while (first <= max) {
    let size = 1
    while (first % (size * 2) === 0 && first + size * 2 - 1 <= max) size *= 2
    masks.push(size === 1 ? String(first) : `0x${first.toString(16)}/0x${((FULL + 1 - size) & FULL).toString(16)}`)
    first += size
  }
  return masks
}
