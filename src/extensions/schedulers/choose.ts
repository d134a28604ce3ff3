/** Whom to take of several agents. Pure. */
import type { Candidate } from './bindings.ts'

/** The least loaded first; of several to take, each from the zone that has the fewest of those taken before. */
export function choose(candidates: readonly Candidate[], count: number): readonly Candidate[] {
  const left = [...candidates].sort((a, b) => a.load - b.load || (a.host < b.host ? -1 : 1))
  const chosen: Candidate[] = []
  const inZone = (zone: string | null): number => chosen.filter((one) => one.availability_zone === zone).length
  while (chosen.length < count && left.length > 0) {
    const fewest = Math.min(...left.map((one) => inZone(one.availability_zone)))
    const at = left.findIndex((one) => inZone(one.availability_zone) === fewest)
    chosen.push(...left.splice(at, 1))
  }
  return chosen
}
