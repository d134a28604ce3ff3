/** What wakes the reader of the change log: a hint, somebody who waits for it, or time that is up. */

export interface Bell {
  ring(): void
  /** From here on a hint counts, also one that comes before `heard`. */
  listen(): void
  /** Resolves when it has rung since `listen`, or after so many milliseconds. */
  heard(milliseconds: number): Promise<void>
}

/** Holds one hint at a time, however often it is asked. */
export function createBell(hint: () => Promise<void>): Bell {
  let rung = false
  let listening = false
  let wake: () => void = () => undefined
  const ring = (): void => {
    rung = true
    wake()
  }
  return {
    ring,
    listen(): void {
      rung = false
      if (listening) return
      listening = true
      void hint().then(() => {
        listening = false
        ring()
      })
    },
    async heard(milliseconds: number): Promise<void> {
      if (rung) return
      // After every change: a timer that is given up must cost nothing.
      let timer: NodeJS.Timeout | undefined
      await new Promise<void>((resolve) => {
        wake = resolve
        timer = setTimeout(resolve, milliseconds)
      })
      clearTimeout(timer)
      wake = () => undefined
    },
  }
}
