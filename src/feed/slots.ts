/** A limit on how much goes on at once; who comes later waits in line. */

export interface Slots {
  /** Resolves with how to give the slot back; calling that twice does no harm. */
  take(): Promise<() => void>
}

export function createSlots(count: number): Slots {
  let free = count
  const line: (() => void)[] = []
  const giveBack = (): (() => void) => {
    let held = true
    return () => {
      if (!held) return
      held = false
      const next = line.shift()
      if (next) next()
      else free++
    }
  }
  return {
    take: async () => {
      if (free > 0) free--
      else await new Promise<void>((resolve) => line.push(resolve))
      return giveBack()
    },
  }
}
